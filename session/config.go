package session

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
)

// Limits and defaults of a Config.
const (
	DefaultTimeout    = 10 * time.Minute
	MaxTimeout        = 60 * time.Minute
	DefaultGrace      = 2 * time.Minute
	MaxGrace          = 60 * time.Minute
	DefaultMaxJoiners = 50
	MaxJoiners        = 1000
)

// Config says how a session runs. New validates and copies it; nothing in it is shared afterwards. Printing or encoding
// a Config never shows the passphrase.
//
// Specification: docs/protocol.md, section "Session".
type Config struct {
	// Timeout is the life of the session. Zero: DefaultTimeout. Negative or above MaxTimeout: refused.
	Timeout time.Duration
	// Grace is how long approved joiners are served after the end. Zero: DefaultGrace. Negative or above MaxGrace: refused.
	Grace time.Duration
	// Passphrase is the secret that joiners prove. Zero: one is generated.
	Passphrase hmacauth.Passphrase
	// Words is the length of the generated passphrase. Zero: four. Refused together with Passphrase.
	Words int
	// MaxJoiners is how many joiners the session may admit. When it has, it ends with ErrLimitReached. Zero:
	// DefaultMaxJoiners. Negative or above MaxJoiners: refused.
	MaxJoiners int
	// WantNames, if not empty, are the only names that may join. When as many joiners are admitted, the session ends.
	WantNames []string
	// WantFingerprints, if not empty, are the only certificates that may join. When as many joiners are admitted, the
	// session ends.
	WantFingerprints []certstore.Fingerprint
	// Services are the services that every joiner must offer, with exactly these versions.
	Services map[string]string
	// Policy decides on offers as they come. Nil: a person decides, through Approve and Deny. It runs without a lock in the
	// goroutine of Propose, may block, and may be called again for an offer that is made again while it waits.
	Policy func(Offer) Decision
}

// Decision is what a policy says about an offer.
type Decision uint8

const (
	// Ask leaves the decision to a person.
	Ask Decision = iota
	// Accept approves the offer, unless its name is in conflict: a conflict is always left to a person.
	Accept
	// Refuse denies the offer.
	Refuse
)

// Compared says how the fingerprint of an approved offer was compared. It goes into the statement that admits the joiner.
type Compared string

// The ways of comparing that a session knows.
const (
	ComparedByPerson Compared = "person" // Approve was called
	ComparedByPolicy Compared = "policy" // Config.Policy accepted, or ApproveAs says so
	ComparedPinned   Compared = "pinned" // it is one of Config.WantFingerprints, whoever approved, or ApproveAs says so

	// ComparedByInvitation is for who admits by an invitation: nobody compared, the secret decided.
	ComparedByInvitation Compared = "invitation"
)

// Hooks connect a session to the store of members. They are called without a lock, from many goroutines at once, and
// may block; what blocks is only the joiner concerned.
type Hooks struct {
	// Admit makes the offer a member; it is durable when Admit returns nil. Admitting the same offer twice must be
	// harmless. compared says how the fingerprint was, for the record. An error that wraps ErrRemoved fails the offer at
	// once, since trying again is of no use. Required.
	Admit func(ctx context.Context, o Offer, compared Compared) error
	// Admitted reports whether the certificate is a member and was admitted by exactly this offer, in this or in an
	// earlier session. Nil: never.
	Admitted func(o Offer) bool
	// Removed reports whether the certificate's key was removed from the cluster, and so cannot be a member again. Such an
	// offer is refused before anybody is asked about it. Nil: never.
	Removed func(o Offer) bool
	// NameHolder returns the member that holds a name. Nil: names are compared among the offers only.
	NameHolder func(name string) (certstore.Fingerprint, bool)
	// Ended is called when nothing is left to do, in a goroutine of its own, with the session: the channel of the same name is closed,
	// and the passphrase forgotten. Nil: nothing.
	Ended func(ended *Session)
}

// validate returns a copy of cfg with every default filled in, except for the passphrase.
func (cfg Config) validate() (Config, error) {
	if err := cfg.checkTimes(); err != nil {
		return Config{}, err
	}
	if cfg.MaxJoiners < 0 || cfg.MaxJoiners > MaxJoiners {
		return Config{}, &FieldError{"MaxJoiners", fmt.Sprintf("must be 1 to %d, or 0 for %d", MaxJoiners, DefaultMaxJoiners)}
	}
	if !cfg.Passphrase.IsZero() && cfg.Words != 0 {
		return Config{}, &FieldError{"Words", "must be 0 when Passphrase is given"}
	}
	if err := cfg.checkWanted(); err != nil {
		return Config{}, err
	}
	if err := checkMap("Services", cfg.Services); err != nil {
		return Config{}, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.MaxJoiners == 0 {
		cfg.MaxJoiners = DefaultMaxJoiners
	}
	for _, wanted := range []int{len(cfg.WantNames), len(cfg.WantFingerprints)} {
		if wanted > 0 {
			cfg.MaxJoiners = min(cfg.MaxJoiners, wanted)
		}
	}
	cfg.WantNames = slices.Clone(cfg.WantNames)
	cfg.WantFingerprints = slices.Clone(cfg.WantFingerprints)
	cfg.Services = maps.Clone(cfg.Services)
	return cfg, nil
}

func (cfg Config) checkTimes() error {
	if cfg.Timeout < 0 || cfg.Timeout > MaxTimeout {
		return &FieldError{"Timeout", fmt.Sprintf("must be positive and at most %v, or 0 for %v", MaxTimeout, DefaultTimeout)}
	}
	if cfg.Grace < 0 || cfg.Grace > MaxGrace {
		return &FieldError{"Grace", fmt.Sprintf("must be positive and at most %v, or 0 for %v", MaxGrace, DefaultGrace)}
	}
	return nil
}

func (cfg Config) checkWanted() error {
	if len(cfg.WantNames) > MaxJoiners {
		return &FieldError{"WantNames", fmt.Sprintf("must be at most %d", MaxJoiners)}
	}
	if len(cfg.WantFingerprints) > MaxJoiners {
		return &FieldError{"WantFingerprints", fmt.Sprintf("must be at most %d", MaxJoiners)}
	}
	names := make(map[string]bool, len(cfg.WantNames))
	for i, name := range cfg.WantNames {
		field := fmt.Sprintf("WantNames[%d]", i)
		if err := certstore.CheckName(name); err != nil {
			return &FieldError{field, err.Error()}
		}
		if names[name] {
			return &FieldError{field, "must not repeat a name"}
		}
		names[name] = true
	}
	fps := make(map[certstore.Fingerprint]bool, len(cfg.WantFingerprints))
	for i, fp := range cfg.WantFingerprints {
		field := fmt.Sprintf("WantFingerprints[%d]", i)
		if fp.IsZero() {
			return &FieldError{field, "must not be zero"}
		}
		if fps[fp] {
			return &FieldError{field, "must not repeat a fingerprint"}
		}
		fps[fp] = true
	}
	return nil
}
