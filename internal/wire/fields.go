package wire

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"slices"
)

// lengthBytes is the size of the length that precedes every field.
const lengthBytes = 4

// Fields builds an encoding of length-prefixed fields. Every method appends and returns its receiver, so calls chain.
// A Fields belongs to one goroutine. Make one with [NewFields].
type Fields struct {
	encoding []byte
}

// NewFields starts an encoding whose first field is label: a text that no other kind of encoding uses, which keeps
// what was signed or hashed for one purpose from being valid for another.
func NewFields(label string) *Fields {
	return new(Fields).String(label)
}

// Bytes appends b as one field. The bytes are copied. It panics on a field of 4 GiB or more, which no input that respects
// the limits of this module can reach.
func (f *Fields) Bytes(b []byte) *Fields {
	f.length(len(b))
	f.encoding = append(f.encoding, b...)
	return f
}

// String appends the bytes of s as one field. [FieldReader.String] reads it back if s is valid UTF-8.
func (f *Fields) String(s string) *Fields {
	f.length(len(s))
	f.encoding = append(f.encoding, s...)
	return f
}

// Uint64 appends v as a field of eight bytes, big-endian.
func (f *Fields) Uint64(v uint64) *Fields {
	f.length(8)
	f.encoding = binary.BigEndian.AppendUint64(f.encoding, v)
	return f
}

// List appends the number of items as [Fields.Uint64] does, and then each item as a field. A nil list and an empty one
// are the same. It is read back with [FieldReader.Count] and that many calls of [FieldReader.Bytes].
func (f *Fields) List(items [][]byte) *Fields {
	f.Uint64(uint64(len(items)))
	for _, item := range items {
		f.Bytes(item)
	}
	return f
}

// Strings is [Fields.List] for texts.
func (f *Fields) Strings(items []string) *Fields {
	f.Uint64(uint64(len(items)))
	for _, item := range items {
		f.String(item)
	}
	return f
}

// Map appends the number of entries as [Fields.Uint64] does, and then each key and its value as two fields, the keys in
// ascending order of their bytes. A nil map and an empty one are the same.
func (f *Fields) Map(m map[string]string) *Fields {
	f.Uint64(uint64(len(m)))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		f.String(key).String(m[key])
	}
	return f
}

// Encoding returns a copy of what was built so far; the caller owns it.
func (f *Fields) Encoding() []byte {
	return append([]byte(nil), f.encoding...)
}

// SHA256 returns the SHA-256 hash of the encoding built so far.
func (f *Fields) SHA256() [sha256.Size]byte {
	return sha256.Sum256(f.encoding)
}

func (f *Fields) length(n int) {
	if uint64(n) > math.MaxUint32 {
		panic("wire: a field of 4 GiB or more")
	}
	f.encoding = binary.BigEndian.AppendUint32(f.encoding, uint32(n))
}
