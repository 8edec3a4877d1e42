package cpace

import "encoding/binary"

const (
	// domain is the suite's domain separation for the generator, domainISK the one for the key (section 7 of the draft, G.DSI).
	domain    = "CPaceRistretto255"
	domainISK = domain + "_ISK"
	// blockSize is the input block of SHA-512 in bytes, s_in_bytes in the draft.
	blockSize = 128
)

// appendField is the draft's lv: the length in LEB128, then the bytes.
func appendField(out, field []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(field))), field...)
}

func fieldSize(field int) int {
	return len(binary.AppendUvarint(nil, uint64(field))) + field
}

// generatorString is what is mapped to the generator: domain and secret fill the first hash block together, so that hashing
// takes the same time whatever comes after them.
func generatorString(in Input) []byte {
	padding := max(0, blockSize-1-fieldSize(len(in.PRS))-fieldSize(len(domain)))
	out := appendField(nil, []byte(domain))
	out = appendField(out, in.PRS)
	out = appendField(out, make([]byte, padding))
	out = appendField(out, in.CI)
	return appendField(out, in.SID)
}

// transcript is the draft's transcript_ir: both shares with their associated data, the initiator's first.
func transcript(ya Share, adA []byte, yb Share, adB []byte) []byte {
	out := appendField(nil, ya[:])
	out = appendField(out, adA)
	out = appendField(out, yb[:])
	return appendField(out, adB)
}

// keyString is what is hashed to the intermediate session key.
func keyString(sid []byte, k [32]byte, transcript []byte) []byte {
	out := appendField(nil, []byte(domainISK))
	out = appendField(out, sid)
	out = appendField(out, k[:])
	return append(out, transcript...)
}
