package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

func vectorPeople(t *testing.T) []*person {
	all := make([]*person, 8)
	for i := range all {
		all[i] = newPerson(t, fmt.Sprintf("m%d", i), fixedKey(fmt.Sprintf("person %d", i)))
	}
	return all
}

// refusal collects statements that are wrong in one thing each. Where the fault is not in the signature, that one is good.
type refusal struct {
	*testing.T
	by   *person
	list []refusedVector
}

func encodedStatement(body, signature []byte) []byte {
	return wire.NewFields("microtrust/2 encoded statement").Bytes(body).Bytes(signature).Encoding()
}

func (r *refusal) raw(class, name, why string, encoded []byte) {
	r.list = append(r.list, refusedVector{Name: name, Class: class, Why: why, Encoded: encoded})
}

func (r *refusal) body(class, name, why string, body []byte) {
	signature, err := r.by.Sign(body)
	require.NoError(r, err)
	r.raw(class, name, why, encodedStatement(body, signature))
}

func makeRefused(t *testing.T) []refusedVector {
	r := &refusal{T: t, by: vectorPeople(t)[0]}
	r.encodings()
	r.contents()
	r.keys()
	r.signatures()
	return r.list
}

var clusterForRefusals = bytes.Repeat([]byte{1}, 32)

func (r *refusal) head(kind string, cluster []byte) *wire.Fields {
	return wire.NewFields(certstore.StatementLabel).String(kind).Bytes(cluster).Bytes(r.by.PublicKeyDER()).Uint64(1)
}

func (r *refusal) admit(name string, replaces []byte, rights uint64, offer []byte, compared string) *wire.Fields {
	other := vectorPeople(r.T)[1]
	key := other.KeyID()
	return r.head("admit", clusterForRefusals).Bytes(key[:]).String(name).Bytes(other.Certificate().Raw).Bytes(replaces).Uint64(rights).Bytes(offer).String(compared)
}

func (r *refusal) removal(target []byte, keep ...[]byte) *wire.Fields {
	return r.head("remove", clusterForRefusals).Bytes(target).List(keep)
}

func (r *refusal) profileOf(revision uint64, addresses []string, pairs ...string) *wire.Fields {
	f := r.head("profile", clusterForRefusals).Bytes(clusterForRefusals).Uint64(revision).Strings(addresses).Uint64(uint64(len(pairs) / 2))
	for _, p := range pairs {
		f.String(p)
	}
	return f
}

func (r *refusal) genesisOf(kind string, cluster []byte, name string, certificate []byte) *wire.Fields {
	return r.head(kind, cluster).Bytes(clusterForRefusals).String(name).Bytes(certificate).Bytes(nil)
}

func ascending(n int) (keep [][]byte) {
	for i := range n {
		keep = append(keep, append([]byte{byte(i >> 8), byte(i)}, make([]byte, 30)...))
	}
	return keep
}

func (r *refusal) encodings() {
	const class = "encoding"
	hash, cert := clusterForRefusals, r.by.Certificate().Raw
	sound := r.admit("m1", nil, 3, nil, "").Encoding()
	signature, err := r.by.Sign(sound)
	require.NoError(r, err)
	whole := encodedStatement(sound, signature)
	r.raw(class, "nothing", "there is no statement", []byte{})
	r.raw(class, "cut off", "the last byte is missing", whole[:len(whole)-1])
	r.raw(class, "left over", "bytes follow the signature", append(bytes.Clone(whole), 0))
	r.raw(class, "a field too many", "bytes follow the signature", append(bytes.Clone(whole), 0, 0, 0, 0))
	r.raw(class, "another label around", "the label says what the encoding is for", wire.NewFields("microtrust/2 encoded").Bytes(sound).Bytes(signature).Encoding())
	r.raw(class, "a length beyond the end", "the announced bytes are not there", append([]byte{0xff, 0xff, 0xff, 0xff}, whole[4:]...))
	r.raw(class, "signature of 1025 bytes", "a signature has at most 1024 bytes", encodedStatement(sound, make([]byte, 1025)))
	r.body(class, "empty body", "there is no statement", nil)
	r.body(class, "another label", "the label says what is signed", append(wire.NewFields("another label").Encoding(), sound[4+len(certstore.StatementLabel):]...))
	r.body(class, "body cut off", "the last byte is missing", sound[:len(sound)-1])
	r.body(class, "body left over", "bytes follow the content", append(bytes.Clone(sound), 0))
	r.body(class, "unknown kind", "there are four kinds", r.head("grant", hash).Encoding())
	r.body(class, "kind in upper case", "kinds have one spelling", r.genesisOf("Genesis", nil, "m0", cert).Encoding())
	r.body(class, "genesis with a cluster", "a genesis names no cluster", r.genesisOf("genesis", hash, "m0", cert).Encoding())
	r.body(class, "removal without a cluster", "everything but a genesis names its cluster", r.head("remove", nil).Bytes(hash).List(nil).Encoding())
	r.body(class, "short cluster", "a cluster id has 32 bytes", r.head("remove", hash[:31]).Bytes(hash).List(nil).Encoding())
	r.body(class, "long cluster", "a cluster id has 32 bytes", r.head("remove", append(hash[:32:32], 1)).Bytes(hash).List(nil).Encoding())
	r.body(class, "zero cluster", "absent is the empty field", r.head("remove", make([]byte, 32)).Bytes(hash).List(nil).Encoding())
	r.body(class, "zero hash for none", "absent is the empty field", r.admit("m1", nil, 3, make([]byte, 32), "").Encoding())
	r.body(class, "zero predecessor for none", "absent is the empty field", r.admit("m1", make([]byte, 32), 3, nil, "").Encoding())
	r.body(class, "short target", "a key id has 32 bytes", r.removal(hash[:31]).Encoding())
	r.body(class, "short kept id", "a statement id has 32 bytes", r.removal(hash, hash[:31]).Encoding())
	r.body(class, "number of four bytes", "numbers have eight bytes", wire.NewFields(certstore.StatementLabel).String("remove").Bytes(hash).Bytes(r.by.PublicKeyDER()).Bytes([]byte{0, 0, 0, 1}).Bytes(hash).List(nil).Encoding())
	r.body(class, "text that is not UTF-8", "texts are UTF-8", r.admit("m1", nil, 3, nil, "\xff").Encoding())
	r.body(class, "certificate above 16 KiB", "a certificate has at most 16 KiB", r.genesisOf("genesis", nil, "m0", make([]byte, 16<<10+1)).Encoding())
	r.body(class, "body above 32 KiB", "a body has at most 32 KiB", append(bytes.Clone(sound), make([]byte, 32<<10)...))
}

func (r *refusal) contents() {
	const class = "content"
	hash := clusterForRefusals
	other := vectorPeople(r.T)[1].KeyID()
	for _, bad := range []struct{ name, why string }{
		{"", "a name has at least one character"}, {"M1", "names are lower case"}, {"-m1", "no label begins with a hyphen"},
		{"m1-", "no label ends with a hyphen"}, {"m1.", "no dot at the end"}, {"a..b", "no empty label"}, {"10.0.0.1", "the last label is no number"},
		{"a.0x1f", "the last label is no number"}, {"m_1", "letters, digits and hyphens only"}, {strings.Repeat("a", 64), "a label has at most 63 bytes"},
	} {
		r.body(class, fmt.Sprintf("name %q", bad.name), bad.why, r.admit(bad.name, nil, 3, nil, "").Encoding())
	}
	r.body(class, "name of 254 bytes", "a name has at most 253 bytes", r.admit(strings.Repeat("a.", 126)+"aa", nil, 3, nil, "").Encoding())
	r.body(class, "bad name in a genesis", "names are lower case", r.genesisOf("genesis", nil, "M0", r.by.Certificate().Raw).Encoding())
	r.body(class, "unknown rights", "rights above 3 are refused", r.admit("m1", nil, 4, nil, "").Encoding())
	r.body(class, "rights in the high bytes", "rights above 3 are refused", r.admit("m1", nil, 1<<63|3, nil, "").Encoding())
	r.body(class, "replaces another's key", "only a key itself names the key that replaces it", r.admit("m1", other[:], 3, nil, "").Encoding())
	r.body(class, "compared with a control character", "plain text has none", r.admit("m1", nil, 3, nil, "a\nb").Encoding())
	r.body(class, "compared of 33 bytes", "at most 32 bytes", r.admit("m1", nil, 3, nil, strings.Repeat("a", 33)).Encoding())
	r.body(class, "kept ids descending", "ids are in ascending order", r.removal(hash, ascending(2)[1], ascending(2)[0]).Encoding())
	r.body(class, "kept id twice", "ascending allows no repetition", r.removal(hash, hash, hash).Encoding())
	r.body(class, "841 kept ids", "at most 840 are kept", r.removal(hash, ascending(certstore.MaxKeep+1)...).Encoding())
	r.body(class, "revision 0", "revisions begin with 1", r.profileOf(0, nil).Encoding())
	r.body(class, "revision above 2³²", "2³² is the last one", r.profileOf(1<<32+1, nil).Encoding())
	r.body(class, "17 addresses", "at most 16", r.profileOf(1, strings.Split(strings.Repeat("a,", 16)+"a", ",")).Encoding())
	r.body(class, "empty address", "an address has at least one byte", r.profileOf(1, []string{""}).Encoding())
	r.body(class, "address of 265 bytes", "at most 264", r.profileOf(1, []string{strings.Repeat("a", 265)}).Encoding())
	r.body(class, "address with a control character", "plain text has none", r.profileOf(1, []string{"a\x00:1"}).Encoding())
	r.body(class, "attributes descending", "keys are in ascending order", r.profileOf(1, nil, "b", "1", "a", "1").Encoding())
	r.body(class, "attribute twice", "ascending allows no repetition", r.profileOf(1, nil, "a", "1", "a", "1").Encoding())
	r.body(class, "attribute without a key", "a key has at least one byte", r.profileOf(1, nil, "", "1").Encoding())
	r.body(class, "attribute with a control character", "plain text has none", r.profileOf(1, nil, "a", "\u0085").Encoding())
	r.body(class, "attribute of 257 bytes", "a value has at most 256", r.profileOf(1, nil, "a", strings.Repeat("a", 257)).Encoding())
}

// keys are refused by which nothing can be stated. What stands in place of a signature does not matter.
func (r *refusal) keys() {
	by := func(name, why string, key []byte) {
		body := wire.NewFields(certstore.StatementLabel).String("remove").Bytes(clusterForRefusals).Bytes(key).Uint64(1).Bytes(clusterForRefusals).List(nil).Encoding()
		r.body("key", name, why, body)
	}
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	p256 := spki(r.T, fixedECDSA(r.T, elliptic.P256(), "p256").Public())
	by("none", "the issuer's key is in the body", nil)
	by("no key", "the issuer's key is a SubjectPublicKeyInfo", []byte("key"))
	by("P-521", "ECDSA keys are on P-256 or P-384", spki(r.T, fixedECDSA(r.T, elliptic.P521(), "p521").Public()))
	by("weak RSA", "RSA keys have at least 2048 bits", spki(r.T, weak))
	by("byte left over", "a key has one encoding", append(bytes.Clone(p256), 0))
	by("long form of a length", "a key has one encoding", append([]byte{p256[0], 0x81}, p256[1:]...))
}

func (r *refusal) signatures() {
	const class = "signature"
	genesis := func(p *person) []byte {
		return wire.NewFields(certstore.StatementLabel).String("genesis").Bytes(nil).Bytes(p.PublicKeyDER()).Uint64(1).
			Bytes(clusterForRefusals).String("m0").Bytes(p.Certificate().Raw).Bytes(nil).Encoding()
	}
	add := func(name, why string, p *person, change func(body []byte) []byte) {
		body := genesis(p)
		_, err := r.signed(p, body)
		require.NoError(r, err)
		r.raw(class, name, why, encodedStatement(body, change(body)))
	}
	good := func(p *person, body []byte) []byte {
		signature, err := p.Sign(body)
		require.NoError(r, err)
		return signature
	}
	ed := r.by
	add("none", "a statement is signed", ed, func([]byte) []byte { return nil })
	add("of another key", "it is the issuer's", ed, func(body []byte) []byte { return good(vectorPeople(r.T)[1], body) })
	add("of another body", "it is over this body", ed, func(body []byte) []byte { return good(ed, body[1:]) })
	add("of the hash", "Ed25519 signs the body itself", ed, func(body []byte) []byte {
		digest := sha256.Sum256(body)
		return good(ed, digest[:])
	})
	add("a bit flipped", "it does not verify", ed, func(body []byte) []byte { s := good(ed, body); s[10] ^= 1; return s })
	add("byte left over", "an Ed25519 signature has 64 bytes", ed, func(body []byte) []byte { return append(good(ed, body), 0) })
	add("scalar above the order", "Ed25519 takes one scalar of several that fit the equation", ed, func(body []byte) []byte { return aboveOrder(good(ed, body)) })
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		name := strings.ToLower(strings.ReplaceAll(curve.Params().Name, "-", ""))
		p := newPerson(r.T, name, fixedECDSA(r.T, curve, name))
		numbers := func(body []byte) (n struct{ R, S *big.Int }) {
			_, err := asn1.Unmarshal(good(p, body), &n)
			require.NoError(r, err)
			return n
		}
		title := curve.Params().Name
		add(title+" with a high s", "s is at most half the order", p, func(body []byte) []byte {
			n := numbers(body)
			n.S.Sub(curve.Params().N, n.S)
			der, err := asn1.Marshal(n)
			require.NoError(r, err)
			return der
		})
		add(title+" with a zero in front of r", "r and s have one encoding", p, func(body []byte) []byte { return padFirst(r.T, good(p, body)) })
		add(title+" with a long form of the length", "r and s have one encoding", p, func(body []byte) []byte {
			s := good(p, body)
			return append([]byte{s[0], 0x81}, s[1:]...)
		})
		add(title+" with a byte left over", "r and s have one encoding", p, func(body []byte) []byte { return append(good(p, body), 0) })
		add(title+" without DER", "r and s are in DER", p, func(body []byte) []byte {
			n := numbers(body)
			size := (curve.Params().BitSize + 7) / 8
			return append(n.R.FillBytes(make([]byte, size)), n.S.FillBytes(make([]byte, size))...)
		})
		add(title+" with the other hash", "the curve decides the hash", p, func(body []byte) []byte { return r.otherHash(p, body) })
	}
	key := fixedRSA(r.T)
	p := newPerson(r.T, "rsa", key)
	pss := func(salt int, hash crypto.Hash, digest func([]byte) []byte) func([]byte) []byte {
		return func(body []byte) []byte {
			signature, err := rsa.SignPSS(bytes.NewReader(bytes.Repeat([]byte{1}, 512)), key, hash, digest(body), &rsa.PSSOptions{SaltLength: salt})
			require.NoError(r, err)
			return signature
		}
	}
	sha2 := func(body []byte) []byte { d := sha256.Sum256(body); return d[:] }
	add("RSA with a salt of 20 bytes", "the salt has exactly 32 bytes", p, pss(20, crypto.SHA256, sha2))
	add("RSA with the longest salt", "the salt has exactly 32 bytes", p, pss(222, crypto.SHA256, sha2))
	add("RSA with SHA-512", "the hash is SHA-256", p, pss(32, crypto.SHA512, func(body []byte) []byte { d := sha512.Sum512(body); return d[:] }))
	add("RSA after PKCS #1 v1.5", "the scheme is PSS", p, func(body []byte) []byte {
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sha2(body))
		require.NoError(r, err)
		return signature
	})
}

// signed proves that a body is good but for the signature that a case is about.
func (r *refusal) signed(p *person, body []byte) (*certstore.Statement, error) {
	signature, err := p.Sign(body)
	require.NoError(r, err)
	return certstore.ParseStatement(body, signature)
}

// otherHash signs with SHA-384 on P-256 and with SHA-256 on P-384.
func (r *refusal) otherHash(p *person, body []byte) []byte {
	hash, digest := crypto.SHA384, sha512.Sum384(body)
	raw := digest[:]
	if p.Name() == "p384" {
		short := sha256.Sum256(body)
		hash, raw = crypto.SHA256, short[:]
	}
	signature, err := p.key.Sign(nil, raw, hash)
	require.NoError(r, err)
	var n struct{ R, S *big.Int }
	_, err = asn1.Unmarshal(signature, &n)
	require.NoError(r, err)
	order := elliptic.P256().Params().N
	if p.Name() == "p384" {
		order = elliptic.P384().Params().N
	}
	if n.S.Cmp(new(big.Int).Rsh(order, 1)) > 0 {
		n.S.Sub(order, n.S)
	}
	der, err := asn1.Marshal(n)
	require.NoError(r, err)
	return der
}

// padFirst puts a zero in front of r that DER does not allow, or a second one.
func padFirst(t *testing.T, der []byte) []byte {
	t.Helper()
	require.Less(t, int(der[1]), 0x7f)
	padded := append([]byte{der[0], der[1] + 1, der[2], der[3] + 1, 0}, der[4:]...)
	return padded
}

// aboveOrder adds the order of the group to the scalar of an Ed25519 signature.
func aboveOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 16)
	little := bytes.Clone(signature[32:])
	reverse := func(b []byte) []byte {
		for i := range len(b) / 2 {
			b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
		}
		return b
	}
	scalar := new(big.Int).SetBytes(reverse(little))
	return append(bytes.Clone(signature[:ed25519.SignatureSize/2]), reverse(scalar.Add(scalar, order).FillBytes(make([]byte, 32)))...)
}
