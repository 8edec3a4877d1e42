package hmacauth

import "io"

// What vectors show and the package does not export: every intermediate value of a handshake.

// Fields of the key schedule and of the codes that take one of a few values.
const (
	RoleInitiator  = roleInitiator
	RoleJoiner     = roleJoiner
	ToInitiator    = toInitiator
	ToJoiner       = toJoiner
	PurposeConfirm = purposeConfirm
	PurposeMessage = purposeMessage
)

// PRS returns what of a secret enters the key exchange.
func (s Secret) PRS() []byte { return s.prs() }

// ChannelID returns CI.
func ChannelID(h Handshake) []byte { return channelID(h) }

// SessionID returns sid.
func SessionID(h Handshake) []byte { return sessionID(h) }

// AssociatedData returns ADa or ADb.
func AssociatedData(role string, h Handshake) []byte { return associatedData(role, h) }

// KeyInfo returns the info of HKDF for one key.
func KeyInfo(h Handshake, hello [32]byte, purpose, direction string) []byte {
	return keyInfo(h, hello, purpose, direction)
}

// DeriveKey returns one key.
func DeriveKey(isk, info []byte) ([]byte, error) { return deriveKey(isk, info) }

// RequestInput returns what the code of a request covers.
func RequestInput(direction string, q Request) []byte { return requestInput(direction, q) }

// ReplyInput returns what the code of a reply covers.
func ReplyInput(direction string, q Request, of MAC, p Reply) []byte {
	return replyInput(direction, q, of, p)
}

// GenerateFrom is GeneratePassphrase with a source of randomness.
func GenerateFrom(words int, random io.Reader) (Passphrase, error) {
	return generatePassphrase(words, random)
}

// Fold is the normalisation without the rules about length.
func Fold(text string) string { return fold(text) }
