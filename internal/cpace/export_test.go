package cpace

import (
	"crypto/sha512"
	"slices"

	"github.com/bwesterb/go-ristretto"
)

// What the published vectors name and the package does not export.

// Generator returns the encoding of the generator for in.
func Generator(in Input) []byte {
	var generator ristretto.Point
	return generator.DeriveDalek(generatorString(in)).Bytes()
}

// Multiply is scalar_mult_vfy.
func Multiply(scalar [32]byte, peer Share) ([32]byte, error) {
	var secret ristretto.Scalar
	if !secret.SetBytesStrict(&scalar) {
		panic("not a reduced scalar")
	}
	return multiply(&secret, peer)
}

// Ordered is the draft's transcript_oc, which the symmetric form uses and this package otherwise does not.
func Ordered(ya Share, adA []byte, yb Share, adB []byte) []byte {
	a := appendField(appendField(nil, ya[:]), adA)
	b := appendField(appendField(nil, yb[:]), adB)
	if slices.Compare(a, b) < 0 {
		a, b = b, a
	}
	return append(append([]byte("oc"), a...), b...)
}

// Key hashes the key of an exchange from its parts.
func Key(sid []byte, k [32]byte, transcript []byte) []byte {
	isk := sha512.Sum512(keyString(sid, k, transcript))
	return isk[:]
}

// SIDOutput is the draft's sid_output, for exchanges without a session id.
func SIDOutput(transcript []byte) []byte {
	sum := sha512.Sum512(append([]byte("CPaceSidOutput"), transcript...))
	return sum[:]
}

// Transcript is the draft's transcript_ir.
var Transcript = transcript
