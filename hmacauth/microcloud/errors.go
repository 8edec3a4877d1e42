package microcloud

import (
	"errors"
	"fmt"
)

var (
	// ErrNoHeader is returned by [Parse] and [ParseRaw] for an empty value: the request has no Authorization header.
	ErrNoHeader = errors.New("microcloud: the Authorization header is missing")

	// ErrHeader is wrapped by every [HeaderError].
	ErrHeader = errors.New("microcloud: malformed header")

	// ErrVersion is wrapped by every [VersionError].
	ErrVersion = errors.New("microcloud: other version of the scheme")

	// ErrMAC is returned by [Deriver.Verify] and [Key.Verify] for every code that does not fit, without saying why: a wrong
	// passphrase, a changed body and a header that was made for another key look the same.
	ErrMAC = errors.New("microcloud: message authentication failed")

	// ErrBusy is returned by [Deriver.NewKey] and [Deriver.Verify] when as many callers wait for a derivation as may. Nothing was
	// derived; trying again later is safe.
	ErrBusy = errors.New("microcloud: too many derivations are waiting")

	// ErrPassphrase is returned by [NewPassphrase] for an empty text, and by [Deriver.NewKey] and [Deriver.Verify] for the zero
	// Passphrase.
	ErrPassphrase = errors.New("microcloud: no passphrase")

	// ErrRandom is returned by [Deriver.NewKey] when the source of random values fails.
	ErrRandom = errors.New("microcloud: no usable randomness")

	// ErrConfig is wrapped by every [ConfigError].
	ErrConfig = errors.New("microcloud: refused configuration")
)

// HeaderError says which rule of the format a header broke. It never contains the header, which may hold another scheme's secret. It
// wraps [ErrHeader]. Returned by [Parse], [ParseRaw] and, for a header without a salt, [Deriver.Verify].
type HeaderError struct {
	// Rule is the rule that was broken.
	Rule string
}

// Error returns the rule.
func (e *HeaderError) Error() string { return "microcloud: malformed header: " + e.Rule }

// Unwrap returns [ErrHeader].
func (e *HeaderError) Unwrap() error { return ErrHeader }

// VersionError says that a header is of another scheme, or of another version. It wraps [ErrVersion]. Returned by [Parse] and
// [ParseRaw].
type VersionError struct {
	// Got is what the header begins with, which a stranger chose, cut off after 32 bytes. Quote it.
	Got string
	// Want is the version that was expected.
	Want string
}

// Error quotes both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("microcloud: the header is of version %q, expected is %q", e.Got, e.Want)
}

// Unwrap returns [ErrVersion].
func (e *VersionError) Unwrap() error { return ErrVersion }

// ConfigError says which setting was refused. It wraps [ErrConfig]. Returned by [NewDeriver] and [NewRawKey].
type ConfigError struct {
	// Setting is the name of the field or parameter.
	Setting string
	// Rule is what it must be.
	Rule string
}

// Error returns setting and rule.
func (e *ConfigError) Error() string {
	return fmt.Sprintf("microcloud: %s %s", e.Setting, e.Rule)
}

// Unwrap returns [ErrConfig].
func (e *ConfigError) Unwrap() error { return ErrConfig }
