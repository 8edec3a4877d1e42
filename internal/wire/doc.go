// Package wire turns values into bytes and bytes into values, with one spelling for each value and bounded work for each
// byte that arrives.
//
//	b := wire.NewFields("example").String("micro01").Uint64(7).Encoding()
//
//	r := wire.ReadFields(b, "example")
//	name, number := r.String(63), r.Uint64()
//	if err := r.Close(); err != nil {
//		return err
//	}
//
// Two formats live here, and one spelling of hashes in both.
//
// Fields: what is hashed, signed or put under a MAC. Every field is a length of four bytes, big-endian, and that many
// bytes; the first field is a label that says what the encoding is for. Different lists of fields never share an
// encoding, and an encoding under one label is never valid under another.
//
// JSON: the bodies of messages. [DecodeJSON] takes less than encoding/json does: exact names, no repeated member, no
// null, nothing after the value, one spelling of bytes in base64. Two programs that read the same message therefore
// cannot read two things into it.
//
// # Threat model
//
// Everything that is read comes from an enemy. Work and memory are linear in the size of the input, which the caller has
// bounded before; no length announced by a peer is ever allocated before that many bytes were seen. Errors quote
// what a peer wrote only after cutting it to a fixed length.
//
// # Concurrency and time
//
// [Fields] and [FieldReader] belong to one goroutine. The functions keep no state. Nothing here reads a clock.
package wire
