package certstore

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrHash is wrapped by UnmarshalText of every hash type and by ParseFingerprint: the text isn't a full hash in a
	// form that the library prints.
	ErrHash = errors.New("certstore: malformed hash")

	// ErrCertificate is wrapped by CheckCertificate and by whatever refuses a certificate for its form: version, size,
	// key type or key size.
	ErrCertificate = errors.New("certstore: unacceptable certificate")

	// ErrSignature is wrapped whenever a signature over a statement doesn't verify, isn't in its one accepted encoding,
	// or comes from a key that the library doesn't accept.
	ErrSignature = errors.New("certstore: bad signature")

	// ErrUnknownMember is returned by look-ups for a name that no member holds.
	ErrUnknownMember = errors.New("certstore: unknown member")

	// ErrNameTaken is what every *NameConflictError wraps: several keys want one name.
	ErrNameTaken = errors.New("certstore: name is held by another member")

	// ErrNoIdentity is returned by LoadIdentity for a directory that holds no identity.
	ErrNoIdentity = errors.New("certstore: no identity")

	// ErrIdentityIncomplete is returned when only one of certificate and key is there. Nothing is created or replaced.
	ErrIdentityIncomplete = errors.New("certstore: identity is incomplete")

	// ErrIdentity is wrapped when an identity is there and cannot be used: damaged or foreign files, a key that does not
	// belong to the certificate, a chain out of order, another name than the one asked for.
	ErrIdentity = errors.New("certstore: unusable identity")

	// ErrStaged is returned by StageIdentity when another identity waits for its rotation already. The text says where.
	ErrStaged = errors.New("certstore: another identity is staged")

	// ErrForeignIdentity is returned by Rotate when the library cannot make the next identity itself: the present one was
	// issued by an authority, or is not kept on disk. The text says what to call.
	ErrForeignIdentity = errors.New("certstore: identity was not made here")

	// ErrNoRotation is returned by SwitchIdentity when nothing is announced, and by RetireIdentity when nothing was
	// switched.
	ErrNoRotation = errors.New("certstore: no such rotation is under way")

	// ErrIdentityConfig is wrapped by whatever refuses an IdentityConfig.
	ErrIdentityConfig = errors.New("certstore: invalid identity configuration")

	// ErrSealed is wrapped, beside ErrIdentity, when a private key is encrypted and no KeyProtection was given.
	ErrSealed = errors.New("key is sealed")

	// ErrNotSealed is wrapped, beside ErrIdentity, when a KeyProtection was given and the private key is not encrypted.
	ErrNotSealed = errors.New("key is not sealed")

	// ErrWrongKey is wrapped by Open of a KeyProtection for what another key has sealed.
	ErrWrongKey = errors.New("sealed with another passphrase or key")

	// ErrPermissions is wrapped when others than the owner may use a file or directory that holds a secret. The text
	// says which command corrects it.
	ErrPermissions = errors.New("certstore: permissions too wide")
)

// FieldError says which field of an input breaks which rule. CheckName and CheckAddress return it.
type FieldError struct {
	Field string // what was checked: "name" or "address"
	Value string // the value as given, cut to 100 bytes and not yet quoted
	Rule  string // the rule that it breaks, as a phrase
}

// Error names field, quoted value and rule.
func (e *FieldError) Error() string {
	return fmt.Sprintf("certstore: %s %q %s", e.Field, e.Value, e.Rule)
}

func newFieldError(field, value, rule string) *FieldError {
	const longest = 100
	if len(value) > longest {
		value = value[:longest] + "…"
	}
	return &FieldError{Field: field, Value: value, Rule: rule}
}

// NameConflictError says that a name is held by several keys that are not one lineage of rotations, so that it resolves to
// none of them. It wraps ErrNameTaken.
type NameConflictError struct {
	Name    string        // the name
	Holders []Fingerprint // certificates of all that hold or want it, at least one
}

// Error names all holders by their short fingerprints.
func (e *NameConflictError) Error() string {
	holders := make([]string, len(e.Holders))
	for i, holder := range e.Holders {
		holders[i] = holder.Short()
	}
	return fmt.Sprintf("certstore: name %q is held by %s", e.Name, strings.Join(holders, " and "))
}

// Unwrap returns ErrNameTaken.
func (e *NameConflictError) Unwrap() error { return ErrNameTaken }
