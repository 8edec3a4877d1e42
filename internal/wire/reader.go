package wire

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// FieldReader reads the fields of an encoding in order. The first error sticks: later reads return zero values and change
// nothing, so a parser reads everything and asks [FieldReader.Close] once. Values that were read before the error must
// not be used. A FieldReader belongs to one goroutine. Make one with [ReadFields].
type FieldReader struct {
	rest  []byte
	index int
	err   error
}

// ReadFields starts to read data, whose first field must be label. It never fails itself: a wrong label is the error that
// [FieldReader.Err] reports. The reader keeps no reference to data in what it returns, but reads from it until it is
// done, so the caller must not change data meanwhile.
func ReadFields(data []byte, label string) *FieldReader {
	r := &FieldReader{rest: data}
	if got := r.next(len(label)); r.err == nil && string(got) != label {
		r.index = 0
		r.fail("another label than expected")
	}
	return r
}

// Bytes reads one field of at most max bytes. The result is a copy that the caller owns; it is empty and not nil for a
// field without bytes, and nil after an error.
func (r *FieldReader) Bytes(max int) []byte {
	got := r.next(max)
	if r.err != nil {
		return nil
	}
	return append([]byte{}, got...)
}

// Fixed reads one field of exactly n bytes. Ownership is that of [FieldReader.Bytes].
func (r *FieldReader) Fixed(n int) []byte {
	got := r.next(n)
	if r.err == nil && len(got) != n {
		r.index--
		r.fail("another length than the fixed one")
	}
	if r.err != nil {
		return nil
	}
	return bytes.Clone(got)
}

// String reads one field of at most max bytes that must be valid UTF-8.
func (r *FieldReader) String(max int) string {
	got := r.next(max)
	if r.err == nil && !utf8.Valid(got) {
		r.index--
		r.fail("not valid UTF-8")
	}
	if r.err != nil {
		return ""
	}
	return string(got)
}

// Uint64 reads a number that [Fields.Uint64] wrote.
func (r *FieldReader) Uint64() uint64 {
	got := r.Fixed(8)
	if r.err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(got)
}

// Count reads the number of items of a list and refuses more than max. It also refuses a number that the remaining bytes
// cannot hold, so that a caller may allocate that many items.
func (r *FieldReader) Count(max int) int {
	n := r.Uint64()
	if r.err != nil {
		return 0
	}
	if max < 0 || n > uint64(max) || n > uint64(len(r.rest)/lengthBytes) {
		r.index--
		r.fail("more items than allowed or present")
		return 0
	}
	return int(n)
}

// Err returns the first error so far, a [*FieldError], or nil.
func (r *FieldReader) Err() error { return r.err }

// Close ends reading: it returns the first error, or one if bytes are left over. A parser that does not check it accepts
// encodings with a tail.
func (r *FieldReader) Close() error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("bytes left over")
	}
	return r.err
}

func (r *FieldReader) next(max int) []byte {
	if r.err != nil {
		return nil
	}
	if len(r.rest) < lengthBytes {
		r.fail("length is cut off")
		return nil
	}
	n := uint64(binary.BigEndian.Uint32(r.rest))
	if max < 0 || n > uint64(max) {
		r.fail("longer than allowed")
		return nil
	}
	if n > uint64(len(r.rest)-lengthBytes) {
		r.fail("field is cut off")
		return nil
	}
	got := r.rest[lengthBytes : lengthBytes+int(n)]
	r.rest = r.rest[lengthBytes+int(n):]
	r.index++
	return got
}

func (r *FieldReader) fail(rule string) {
	r.rest = nil
	r.err = &FieldError{Index: r.index, Rule: rule}
}
