package hmacauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// MAC is the code of one message: HMAC-SHA-256. A code on a message is public; codes are compared with [MAC.Equal], not with ==.
type MAC [sha256.Size]byte

// Equal compares in constant time.
func (m MAC) Equal(other MAC) bool { return hmac.Equal(m[:], other[:]) }

// String returns the code as 64 lower-case hexadecimal digits.
func (m MAC) String() string { return hex.EncodeToString(m[:]) }

// InitiatorKeys verifies what the joiner sends and signs what the initiator sends. It is immutable and safe for concurrent use.
// [Initiator.Finish] makes one; the zero value verifies nothing and signs with zeros.
type InitiatorKeys struct {
	redacted
	keys keys
}

// JoinerKeys signs what the joiner sends and verifies what the initiator sends. It is immutable and safe for concurrent use.
// [Respond] makes one; the zero value verifies nothing and signs with zeros.
type JoinerKeys struct {
	redacted
	keys keys
}

// SignRequest returns the code for a request of the joiner.
func (k *JoinerKeys) SignRequest(q Request) MAC {
	return k.keys.sign(purposeOf(q.Endpoint), toInitiator, requestInput(toInitiator, q))
}

// VerifyRequest checks the code of a request of the joiner. Nothing of the body may be decoded before it has returned nil. The
// error is [ErrMAC], for every reason alike.
func (k *InitiatorKeys) VerifyRequest(q Request, m MAC) error {
	return k.keys.verify(q, toInitiator, requestInput(toInitiator, q), m)
}

// SignReply returns the code for the reply p to the request q that carried the code of. It must not be called before q was
// verified: a reply to an unproved request would let its sender test guesses offline.
func (k *InitiatorKeys) SignReply(q Request, of MAC, p Reply) MAC {
	return k.keys.sign(purposeOf(q.Endpoint), toJoiner, replyInput(toJoiner, q, of, p))
}

// VerifyReply checks the code m of the reply p to the request q, which this side sent with the code of. Nothing of the body
// may be decoded before it has returned nil. The error is [ErrMAC], for every reason alike.
func (k *JoinerKeys) VerifyReply(q Request, of MAC, p Reply, m MAC) error {
	return k.keys.verify(q, toJoiner, replyInput(toJoiner, q, of, p), m)
}

// keys are the four keys of one handshake, each inside a closure that computes codes: no field holds a key or a keyed hash.
type keys struct {
	handshake [16]byte
	code      func(purpose, direction string, input []byte) MAC
}

func newKeys(isk []byte, h Handshake, hello [32]byte) (keys, error) {
	type slot struct{ purpose, direction string }
	derived := map[slot][]byte{}
	for _, s := range []slot{
		{purposeConfirm, toInitiator}, {purposeConfirm, toJoiner},
		{purposeMessage, toInitiator}, {purposeMessage, toJoiner},
	} {
		key, err := deriveKey(isk, keyInfo(h, hello, s.purpose, s.direction))
		if err != nil {
			return keys{}, err
		}
		derived[s] = key
	}
	return keys{handshake: h.ID, code: func(purpose, direction string, input []byte) MAC {
		hash := hmac.New(sha256.New, derived[slot{purpose, direction}])
		_, _ = hash.Write(input)
		return MAC(hash.Sum(nil))
	}}, nil
}

func (k keys) sign(purpose, direction string, input []byte) MAC {
	if k.code == nil {
		return MAC{}
	}
	return k.code(purpose, direction, input)
}

func (k keys) verify(q Request, direction string, input []byte, m MAC) error {
	if k.code == nil {
		return ErrMAC
	}
	right := k.code(purposeOf(q.Endpoint), direction, input).Equal(m)
	if !right || q.Handshake != k.handshake {
		return ErrMAC
	}
	return nil
}
