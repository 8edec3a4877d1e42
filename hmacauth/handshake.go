package hmacauth

import (
	"crypto/subtle"
	"errors"
	"io"

	"github.com/microtrust/microtrust/internal/cpace"
)

// Handshake is everything public that both sides of one handshake know before they compute keys. All of it enters the keys:
// sides that differ in any field end with different keys.
type Handshake struct {
	// Initiator and Joiner are the SHA-256 fingerprints of the DER certificates whose possession was proved in this very
	// TLS connection. Both are required, and they differ.
	Initiator, Joiner [32]byte
	// Session and ID are the ids of the session and of the handshake, chosen by the initiator.
	Session, ID [16]byte
	// NonceJoiner and NonceInitiator are the random values of both sides, fresh for each handshake.
	NonceJoiner, NonceInitiator [16]byte
	// Selector is the id of an invitation, or empty for the passphrase of the session.
	Selector string
}

// Share is what one side of the key exchange sends to the other: the canonical encoding of a point of ristretto255. It is
// public. docs/protocol.md calls the initiator's Ya and the joiner's Yb.
type Share [32]byte

// Initiator is the initiator's side of a handshake between sending its share and receiving the joiner's. It is safe for
// concurrent use and finishes once. Make one with [NewInitiator].
type Initiator struct {
	redacted
	handshake Handshake
	state     *cpace.State
}

// NewInitiator starts the initiator's side with the secret that h.Selector names, or one of [RandomSecret] if it names none. It returns
// the share for the reply to hello. Randomness (64 bytes) is read from random; nil stands for crypto/rand, and anything else is
// for tests and vectors. It costs two thirds of one side of the exchange, about 0.2 ms. The errors are
// [ErrNoSecret], [ErrHandshake], [ErrSameMachine] and [ErrRandom].
func NewInitiator(s Secret, h Handshake, random io.Reader) (*Initiator, Share, error) {
	state, share, err := start(s, h, random)
	if err != nil {
		return nil, Share{}, err
	}
	return &Initiator{handshake: h, state: state}, share, nil
}

// Finish computes the initiator's keys from the joiner's share and [HelloHash]. Whether the joiner holds the same secret shows
// only when its first request verifies. It can be called once, whatever comes of it. The errors are [ErrShare] and [ErrUsed].
func (i *Initiator) Finish(yb Share, hello [32]byte) (*InitiatorKeys, error) {
	h := i.handshake
	isk, err := i.state.FinishInitiator(associatedData(roleInitiator, h), cpace.Share(yb), associatedData(roleJoiner, h))
	if err != nil {
		return nil, fromExchange(err)
	}
	keys, err := newKeys(isk, h, hello)
	if err != nil {
		return nil, err
	}
	return &InitiatorKeys{keys: keys}, nil
}

// Respond is the joiner's whole side: from the initiator's share ya and [HelloHash] it computes the share to send back and the
// joiner's keys. Randomness is that of [NewInitiator]. Whether the initiator holds the same secret shows only
// when its reply verifies, and whoever sent ya can test one guess against the request signed with these keys. The errors are
// those of [NewInitiator], and [ErrShare].
func Respond(s Secret, h Handshake, ya Share, hello [32]byte, random io.Reader) (Share, *JoinerKeys, error) {
	state, yb, err := start(s, h, random)
	if err != nil {
		return Share{}, nil, err
	}
	isk, err := state.FinishResponder(cpace.Share(ya), associatedData(roleInitiator, h), associatedData(roleJoiner, h))
	if err != nil {
		return Share{}, nil, fromExchange(err)
	}
	keys, err := newKeys(isk, h, hello)
	if err != nil {
		return Share{}, nil, err
	}
	return yb, &JoinerKeys{keys: keys}, nil
}

func start(s Secret, h Handshake, random io.Reader) (*cpace.State, Share, error) {
	if s.IsZero() {
		return nil, Share{}, ErrNoSecret
	}
	if err := h.check(); err != nil {
		return nil, Share{}, err
	}
	in := cpace.Input{PRS: s.prs(), CI: channelID(h), SID: sessionID(h)}
	state, share, err := cpace.Start(in, random)
	if err != nil {
		return nil, Share{}, fromExchange(err)
	}
	return state, Share(share), nil
}

func (h Handshake) check() error {
	var none [32]byte
	if subtle.ConstantTimeCompare(h.Initiator[:], h.Joiner[:]) == 1 {
		return ErrSameMachine
	}
	if h.Initiator == none || h.Joiner == none {
		return ErrHandshake
	}
	return nil
}

// fromExchange turns the errors of the key exchange into those of this package.
func fromExchange(err error) error {
	switch {
	case errors.Is(err, cpace.ErrShare):
		return ErrShare
	case errors.Is(err, cpace.ErrUsed):
		return ErrUsed
	default:
		return ErrRandom
	}
}
