package hmacauth

import (
	"crypto/hkdf"
	"crypto/sha256"

	"github.com/microtrust/microtrust/internal/wire"
)

// Everything that turns a secret into keys is on this page. docs/protocol.md, "Key schedule", is the same in prose.

// Protocol is the name of the protocol. It enters the key exchange and the key schedule.
const Protocol = "microtrust/2"

// Labels: the first field of each encoding.
const (
	labelSecret    = Protocol + " secret"
	labelChannel   = Protocol + " channel"
	labelAssociate = Protocol + " party"
	labelHello     = Protocol + " hello"
	labelKey       = Protocol + " key"
	labelRequest   = Protocol + " request"
	labelReply     = Protocol + " reply"
	labelTag       = Protocol + " attempt counter"
)

// Roles, directions and purposes: values of fields.
const (
	roleInitiator = "initiator"
	roleJoiner    = "joiner"

	toInitiator = "joiner to initiator"
	toJoiner    = "initiator to joiner"

	purposeConfirm = "confirm" // requests to the endpoint "join" and their replies
	purposeMessage = "message" // all others
)

// keySize is the length of each derived key in bytes.
const keySize = sha256.Size

// channelID is CI of the key exchange: who speaks to whom, in which role, and about which secret.
func channelID(h Handshake) []byte {
	return wire.NewFields(labelChannel).
		String(roleInitiator).String(roleJoiner).
		Bytes(h.Initiator[:]).Bytes(h.Joiner[:]).
		String(h.Selector).
		Encoding()
}

// sessionID is sid of the key exchange: the joiner's random value, then the initiator's.
func sessionID(h Handshake) []byte {
	return append(h.NonceJoiner[:len(h.NonceJoiner):len(h.NonceJoiner)], h.NonceInitiator[:]...)
}

// associatedData is ADa, for the initiator, or ADb, for the joiner, of the key exchange.
func associatedData(role string, h Handshake) []byte {
	return wire.NewFields(labelAssociate).String(role).Bytes(h.ID[:]).Bytes(h.Session[:]).Encoding()
}

// HelloHash is the hash over the raw bodies of the first message and its reply, which both sides hand to the key schedule:
// if they did not see the same bytes, their keys differ.
func HelloHash(request, reply []byte) [32]byte {
	return wire.NewFields(labelHello).Bytes(request).Bytes(reply).SHA256()
}

// keyInfo is the info of HKDF-SHA-256 for one key.
func keyInfo(h Handshake, hello [32]byte, purpose, direction string) []byte {
	return wire.NewFields(labelKey).
		Bytes(h.Initiator[:]).Bytes(h.Joiner[:]).
		Bytes(h.Session[:]).Bytes(h.ID[:]).
		String(h.Selector).
		Bytes(hello[:]).
		String(purpose).String(direction).
		Encoding()
}

// deriveKey is HKDF-SHA-256 over the key of the exchange, without salt.
func deriveKey(isk, info []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, isk, nil, string(info), keySize)
}
