package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

var (
	// ErrExhausted is returned by Attempts.Reserve when the budget of wrong proofs of a secret is used up.
	ErrExhausted = errors.New("ratelimit: the budget of wrong proofs is used up")
	// ErrFull is returned by Attempts.Reserve when no room can be made for another secret without forgetting one that
	// is used up or in use.
	ErrFull = errors.New("ratelimit: no room for another secret")
	// ErrCrowd is returned by Turns.Wait when too many wait already.
	ErrCrowd = errors.New("ratelimit: too many wait for their turn")
	// ErrConfig is matched by every *ConfigError.
	ErrConfig = errors.New("ratelimit: invalid configuration")
	// ErrLimited is matched by every *LimitedError.
	ErrLimited = errors.New("ratelimit: too many requests")
)

// Scope says which limit was hit.
type Scope string

// The limits of Admission and Attempts.
const (
	ScopeSource  Scope = "source"   // requests of one source
	ScopeBlock   Scope = "block"    // requests of one block of sources
	ScopeTotal   Scope = "total"    // requests of all
	ScopeBackOff Scope = "back-off" // a source had too many wrong proofs
	ScopeOpen    Scope = "open"     // too many proofs are being verified at this moment
)

// LimitedError says that a request came too early. It matches ErrLimited.
type LimitedError struct {
	Scope      Scope         // the narrowest limit that was hit
	RetryAfter time.Duration // time to wait; always positive
}

// Error names the limit and the time to wait.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("%v: limit %q, retry after %v", ErrLimited, e.Scope, e.RetryAfter)
}

// Unwrap returns ErrLimited.
func (e *LimitedError) Unwrap() error { return ErrLimited }

// Seconds returns RetryAfter in whole seconds, rounded up and at least 1: the value of the header Retry-After (RFC 9110
// §10.2.3).
func (e *LimitedError) Seconds() string {
	s := int64(e.RetryAfter / time.Second)
	if e.RetryAfter%time.Second > 0 {
		s++
	}
	return strconv.FormatInt(max(s, 1), 10)
}

// ConfigError names the field of a configuration that breaks a rule. It matches ErrConfig.
type ConfigError struct {
	Field string // such as "Source.Events"
	Rule  string // what must be so
}

// Error names the field and the rule.
func (e *ConfigError) Error() string { return fmt.Sprintf("%v: %s: %s", ErrConfig, e.Field, e.Rule) }

// Unwrap returns ErrConfig.
func (e *ConfigError) Unwrap() error { return ErrConfig }
