package invitation

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
)

const (
	prefix      = "microtrust-invite-"
	version     = "1"
	label       = hmacauth.Protocol + " invitation"
	checkLength = 8 // bytes of the checksum

	maxText    = 8 << 10 // bytes of the string, which 16 addresses of the greatest length do not reach
	maxName    = 253
	maxAddress = 253 + len(":65535")
)

// Reveal returns the string that the operator carries to the machine that is to join, and for nothing else. It consists of
// letters, digits, "-" and "_", so that it can be part of a URL and a double click selects all of it. It is empty for an
// invitation without secret.
//
// Specification: docs/protocol.md, section "Invitations".
func (i Invitation) Reveal() string {
	if i.secret == nil {
		return ""
	}
	secret := i.secret()
	fields := wire.NewFields(label).Bytes(i.ID[:]).Bytes(secret[:]).Bytes(i.Fingerprint[:]).Bytes(i.Cluster[:]).
		String(i.Name).Uint64(uint64(i.Expires.Unix())).Strings(i.Addresses).Encoding()
	sum := sha256.Sum256(fields)
	return prefix + version + "-" + base64.RawURLEncoding.EncodeToString(append(fields, sum[:checkLength]...))
}

// Parse reads what [Invitation.Reveal] returned, with white space around it or not. The error is a [*FieldError], which never
// contains the text. Whether it has expired is not looked at: that is decided by the initiator's clock.
func Parse(text string) (Invitation, error) {
	encoded, err := unwrap(strings.TrimSpace(text))
	if err != nil {
		return Invitation{}, err
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(data) < checkLength || strings.ContainsAny(encoded, "\r\n") {
		return Invitation{}, &FieldError{"text", "must be one line as it was printed: it is cut off, broken into lines, or has another character in it"}
	}
	fields, sum := data[:len(data)-checkLength], data[len(data)-checkLength:]
	if want := sha256.Sum256(fields); !bytes.Equal(sum, want[:checkLength]) {
		return Invitation{}, &FieldError{"checksum", "does not fit: the text was changed or is cut off; copy it again, as a whole"}
	}
	i, err := read(fields)
	if err != nil {
		return Invitation{}, err
	}
	return i.checked()
}

// unwrap takes the prefix and the version off.
func unwrap(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if len(text) > maxText {
		return "", &FieldError{"text", fmt.Sprintf("must be at most %d bytes", maxText)}
	}
	if !ok {
		return "", &FieldError{"text", fmt.Sprintf("must begin with %q", prefix)}
	}
	number, encoded, ok := strings.Cut(rest, "-")
	if !ok || number != version {
		return "", &FieldError{"version", "must be " + version + ": the invitation was made by another release"}
	}
	return encoded, nil
}

// read decodes the fields, whose values [Invitation.check] looks at.
func read(data []byte) (Invitation, error) {
	var i Invitation
	r := wire.ReadFields(data, label)
	var err error
	step := func(field string) {
		if err == nil && r.Err() != nil {
			err = &FieldError{field, "is not encoded as it must be"}
		}
	}
	step("text")
	copy(i.ID[:], r.Fixed(len(i.ID)))
	step("id")
	var secret [hmacauth.InvitationSecretSize]byte
	copy(secret[:], r.Fixed(len(secret)))
	step("secret")
	copy(i.Fingerprint[:], r.Fixed(len(i.Fingerprint)))
	step("fingerprint")
	copy(i.Cluster[:], r.Fixed(len(i.Cluster)))
	step("cluster")
	i.Name = r.String(maxName)
	step("name")
	seconds := r.Uint64()
	step("expires")
	for n := range r.Count(MaxAddresses) {
		i.Addresses = append(i.Addresses, r.String(maxAddress))
		step(fmt.Sprintf("addresses[%d]", n))
	}
	step("addresses")
	if err == nil && r.Close() != nil {
		err = &FieldError{"text", "must end after the addresses"}
	}
	if seconds > 1<<40 { // which no number of seconds is that check lets through, and time.Unix has no room for all of them
		seconds = 1 << 40
	}
	i.Expires = time.Unix(int64(seconds), 0).UTC()
	i.secret = func() [hmacauth.InvitationSecretSize]byte { return secret }
	return i, err
}
