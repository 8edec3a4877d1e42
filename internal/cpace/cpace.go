package cpace

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"io"
	"sync/atomic"

	"github.com/bwesterb/go-ristretto"
)

// KeySize is the length of the key that both sides end with (ISK in the draft), in bytes.
const KeySize = sha512.Size

// Share is what one side sends to the other: the canonical encoding of a point of ristretto255. It is public.
type Share [32]byte

// Input is what both sides must agree on beforehand. [Start] copies it.
type Input struct {
	// PRS is the secret, as bytes that nobody else's kind of secret can equal. It must not be empty.
	PRS []byte
	// CI identifies the channel: both parties, in their roles, and the connection between them.
	CI []byte
	// SID is unique for this exchange; both sides should have contributed to it.
	SID []byte
}

// State is one side of an exchange between its own share and the other side's. It is used once. Its secret is held in
// a closure, so that no printer or encoder reaches it. The zero State only returns [ErrUsed].
type State struct {
	redacted
	finish func(peer Share, transcript func(own Share) []byte) ([]byte, error)
}

// Start begins an exchange and returns the share to send. Randomness (64 bytes, reduced to a scalar) is read from
// random; nil stands for crypto/rand. Anything but crypto/rand is for tests and vectors. The errors are [ErrInput] and [ErrRandom].
func Start(in Input, random io.Reader) (*State, Share, error) {
	if len(in.PRS) == 0 {
		return nil, Share{}, ErrInput
	}
	if random == nil {
		random = rand.Reader
	}
	var uniform [64]byte
	if _, err := io.ReadFull(random, uniform[:]); err != nil {
		return nil, Share{}, ErrRandom
	}
	var secret ristretto.Scalar
	secret.SetReduced(&uniform)
	var generator, point ristretto.Point
	generator.DeriveDalek(generatorString(in))
	var own Share
	point.ScalarMult(&generator, &secret).BytesInto((*[32]byte)(&own))
	if isIdentity(own) { // the scalar was zero
		return nil, Share{}, ErrRandom
	}
	return newState(secret, own, bytes.Clone(in.SID)), own, nil
}

func newState(secret ristretto.Scalar, own Share, sid []byte) *State {
	var used atomic.Bool
	return &State{finish: func(peer Share, transcript func(Share) []byte) ([]byte, error) {
		if used.Swap(true) {
			return nil, ErrUsed
		}
		defer secret.SetZero()
		if subtle.ConstantTimeCompare(peer[:], own[:]) == 1 {
			return nil, ErrShare
		}
		k, err := multiply(&secret, peer)
		if err != nil {
			return nil, err
		}
		isk := sha512.Sum512(keyString(sid, k, transcript(own)))
		return isk[:], nil
	}}
}

// FinishInitiator ends the exchange on the side of A, whose share came first. adA and adB are the associated data of
// both sides, yb the other side's share. It returns the key of [KeySize] bytes, which the caller owns. The state is used up in any case.
// The errors are [ErrShare] and [ErrUsed].
func (s *State) FinishInitiator(adA []byte, yb Share, adB []byte) ([]byte, error) {
	if s == nil || s.finish == nil {
		return nil, ErrUsed
	}
	return s.finish(yb, func(own Share) []byte { return transcript(own, adA, yb, adB) })
}

// FinishResponder ends the exchange on the side of B. ya is the share of the other side. Otherwise it is like
// [State.FinishInitiator].
func (s *State) FinishResponder(ya Share, adA, adB []byte) ([]byte, error) {
	if s == nil || s.finish == nil {
		return nil, ErrUsed
	}
	return s.finish(ya, func(own Share) []byte { return transcript(ya, adA, own, adB) })
}

// multiply is the draft's scalar_mult_vfy: it decodes strictly, multiplies in constant time and refuses the identity as
// result. The order of the group is prime and the scalar is not zero, so that is the result for the identity alone.
func multiply(secret *ristretto.Scalar, peer Share) ([32]byte, error) {
	var point ristretto.Point
	var k [32]byte
	if !point.SetBytes((*[32]byte)(&peer)) {
		return k, ErrShare
	}
	point.ScalarMult(&point, secret).BytesInto(&k)
	if isIdentity(k) {
		return [32]byte{}, ErrShare
	}
	return k, nil
}

// isIdentity tells in constant time whether the encoding is the identity's, which is all zeros and the only one.
func isIdentity(encoding [32]byte) bool {
	var identity [32]byte
	return subtle.ConstantTimeCompare(encoding[:], identity[:]) == 1
}
