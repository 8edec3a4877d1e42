package certstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/microtrust/microtrust/certstore"
)

// This file reads statements for the second implementation of the evaluation, as sections "Conventions", "Statements" and
// "Kinds" of docs/trust-store.md lay them out. It takes them as valid.

type hash [sha256.Size]byte

func (h hash) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h[:])), nil }

// UnmarshalText takes what MarshalText made.
func (h *hash) UnmarshalText(text []byte) error { return (*certstore.Digest)(h).UnmarshalText(text) }

// compareHashes orders hashes as strings of bytes.
func compareHashes(a, b hash) int { return bytes.Compare(a[:], b[:]) }

// docStatement is a statement as sections "Statements" and "Kinds" lay it out.
type docStatement struct {
	index                                   int // in the input
	id, cluster, issuer                     hash
	kind, name                              string
	signature, certificate, recovery        []byte
	subject, replaces, offer, target, cited hash
	rights, revision                        uint64
	keep                                    []hash
	addresses                               []string
	attributes                              map[string]string
}

type docReader []byte

func (r *docReader) field() []byte {
	n := 4 + binary.BigEndian.Uint32(*r)
	b := (*r)[4:n]
	*r = (*r)[n:]
	return b
}

func (r *docReader) text() string   { return string(r.field()) }
func (r *docReader) number() uint64 { return binary.BigEndian.Uint64(r.field()) }

func (r *docReader) hash() (h hash) {
	copy(h[:], r.field())
	return h
}

func docParse(index int, encoded []byte) *docStatement {
	r := docReader(encoded)
	r.field() // label
	body := r.field()
	s := &docStatement{index: index, id: sha256.Sum256(body), signature: r.field()}
	r = body
	r.field() // label
	s.kind, s.cluster, s.issuer = r.text(), r.hash(), sha256.Sum256(r.field())
	r.number() // issued
	switch s.kind {
	case "genesis":
		s.cluster = s.id
		r.field() // random
		s.name, s.certificate, s.recovery = r.text(), r.field(), r.field()
	case "admit":
		s.subject, s.name, s.certificate, s.replaces = r.hash(), r.text(), r.field(), r.hash()
		s.rights, s.offer = r.number(), r.hash()
	case "remove":
		s.target = r.hash()
		for range r.number() {
			s.keep = append(s.keep, r.hash())
		}
	case "profile":
		s.cited, s.revision = r.hash(), r.number()
		for range r.number() {
			s.addresses = append(s.addresses, r.text())
		}
		s.attributes = map[string]string{}
		for range r.number() {
			key := r.text()
			s.attributes[key] = r.text()
		}
	}
	return s
}

func docNumber(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func docFields(fields ...[]byte) (out []byte) {
	for _, f := range fields {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(f))), f...)
	}
	return out
}
