package hmacauth

import (
	"errors"
	"fmt"
)

var (
	// ErrMAC is returned by [InitiatorKeys.VerifyRequest] and [JoinerKeys.VerifyReply] for every code that does not fit,
	// without saying why: a wrong passphrase, a changed message and a machine that terminates TLS in between look the same.
	ErrMAC = errors.New("hmacauth: message authentication failed")

	// ErrShare is returned by [Initiator.Finish] and [Respond] for a share that is not the canonical encoding of a point, is
	// the identity, or is this side's own.
	ErrShare = errors.New("hmacauth: share refused")

	// ErrUsed is returned by [Initiator.Finish] when it was called before.
	ErrUsed = errors.New("hmacauth: handshake was finished before")

	// ErrSameMachine is returned by [NewInitiator] and [Respond] when both fingerprints are equal: a machine that talks to
	// itself, or a message reflected to its sender.
	ErrSameMachine = errors.New("hmacauth: both sides have the same fingerprint")

	// ErrHandshake is returned by [NewInitiator] and [Respond] for a [Handshake] that lacks a fingerprint.
	ErrHandshake = errors.New("hmacauth: incomplete handshake")

	// ErrNoSecret is returned by [NewInitiator] and [Respond] for a zero [Secret].
	ErrNoSecret = errors.New("hmacauth: no secret")

	// ErrRandom is returned by everything that draws random values when their source fails.
	ErrRandom = errors.New("hmacauth: no usable randomness")

	// ErrHeader is returned by [ParseAuthorization] and [ParseAuthenticationInfo] for anything but the one spelling that
	// their Format functions write.
	ErrHeader = errors.New("hmacauth: malformed header")

	// ErrPassphrase is wrapped by every error of [ParsePassphrase] and [GeneratePassphrase].
	ErrPassphrase = errors.New("hmacauth: passphrase refused")
)

// PassphraseError says which rule a passphrase broke. It never contains the text. It wraps [ErrPassphrase]. Returned by
// [ParsePassphrase] and [GeneratePassphrase].
type PassphraseError struct {
	// Rule is the rule that was broken.
	Rule string
}

// Error returns the rule.
func (e *PassphraseError) Error() string { return fmt.Sprintf("passphrase refused: %s", e.Rule) }

// Unwrap returns [ErrPassphrase].
func (e *PassphraseError) Unwrap() error { return ErrPassphrase }
