package invitation

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
)

// MaxAddresses is how many addresses an invitation may name.
const MaxAddresses = 16

// Invitation is what one string says. Make it with [New] or [Parse]; one that was put together by hand has no secret and opens
// nothing. It prints and logs as its id and name; only [Invitation.Reveal] shows the secret. Its slices must not be changed.
//
// Specification: docs/protocol.md, section "Invitations".
type Invitation struct {
	// Name is the only name that may join with it.
	Name string
	// Addresses are where the initiator is reached, as host:port, in the order in which they are to be tried. At least one.
	Addresses []string
	// Fingerprint is the initiator's certificate, in full.
	Fingerprint certstore.Fingerprint
	// Cluster is the cluster that the initiator is a member of.
	Cluster certstore.ClusterID
	// Expires is when it ends, by the initiator's clock, in whole seconds.
	Expires time.Time
	// ID names the invitation, and is no secret.
	ID ID

	secret func() [hmacauth.InvitationSecretSize]byte
}

// ID names one invitation, at random. It is no secret: lists and logs show it.
type ID [16]byte

// String returns the id as 32 lower-case hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// LogValue logs the id as its String.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// MarshalText returns what String returns. It never fails.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText accepts what ParseID accepts. On error id is unchanged.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err == nil {
		*id = parsed
	}
	return err
}

// ParseID reads what [ID.String] prints, and nothing else. The error is a [*FieldError].
func ParseID(text string) (id ID, err error) {
	if wire.DecodeHex(id[:], text) != nil {
		return ID{}, &FieldError{"id", "must be 32 lower-case hexadecimal digits"}
	}
	return id, nil
}

// New returns an invitation that says what from says, with an id and a secret of its own, drawn with crypto/rand. Expires is cut
// to whole seconds. Everything is copied. The error is a [*FieldError].
func New(from Invitation) (Invitation, error) {
	var secret [hmacauth.InvitationSecretSize]byte
	rand.Read(secret[:])
	rand.Read(from.ID[:])
	from.secret = func() [hmacauth.InvitationSecretSize]byte { return secret }
	from.Expires = from.Expires.UTC().Truncate(time.Second)
	from.Addresses = slices.Clone(from.Addresses)
	return from.checked()
}

// IsZero reports whether i has no secret and so opens nothing.
func (i Invitation) IsZero() bool { return i.secret == nil }

// Selector returns what names the invitation in a handshake: its id.
func (i Invitation) Selector() string { return i.ID.String() }

// Secret returns what the handshake needs of i. That of an invitation without secret is the zero Secret.
func (i Invitation) Secret() hmacauth.Secret {
	if i.secret == nil {
		return hmacauth.Secret{}
	}
	return hmacauth.InvitationSecret(i.secret())
}

// String returns id and name, and no secret.
func (i Invitation) String() string { return fmt.Sprintf("invitation %v for %q", i.ID, i.Name) }

// GoString returns what String returns.
func (i Invitation) GoString() string { return i.String() }

// LogValue logs id and name.
func (i Invitation) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("id", i.ID), slog.String("name", i.Name))
}

// checked returns i, and nothing that could be used after an error.
func (i Invitation) checked() (Invitation, error) {
	if err := i.check(); err != nil {
		return Invitation{}, err
	}
	return i, nil
}

// check returns a *FieldError for the first field that breaks a rule.
func (i Invitation) check() error {
	var none [hmacauth.InvitationSecretSize]byte
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	switch {
	case i.ID == ID{}:
		return &FieldError{"id", "must not be zero"}
	case i.secret == nil || i.secret() == none:
		return &FieldError{"secret", "must not be zero"}
	case i.Fingerprint.IsZero():
		return &FieldError{"fingerprint", "must not be zero"}
	case i.Cluster.IsZero():
		return &FieldError{"cluster", "must not be zero"}
	case i.Expires.Unix() <= 0 || i.Expires.After(last):
		return &FieldError{"expires", "must be a time after 1970 and before the year 10000"}
	case len(i.Addresses) == 0 || len(i.Addresses) > MaxAddresses:
		return &FieldError{"addresses", fmt.Sprintf("must be 1 to %d", MaxAddresses)}
	}
	if err := certstore.CheckName(i.Name); err != nil {
		return &FieldError{"name", rule(err)}
	}
	for n, addr := range i.Addresses {
		field := fmt.Sprintf("addresses[%d]", n)
		if err := certstore.CheckAddress(addr); err != nil {
			return &FieldError{field, rule(err)}
		}
		if slices.Contains(i.Addresses[:n], addr) {
			return &FieldError{field, "must not repeat an address"}
		}
	}
	return nil
}

// rule returns what an error of package certstore says of a value, without the value.
func rule(err error) string {
	if field, ok := errors.AsType[*certstore.FieldError](err); ok {
		return field.Rule
	}
	return err.Error()
}
