package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// What testdata/vectors/evaluation.json is made of: keys from texts, signatures and certificates without chance, and scenes,
// in which they state things.

// person is an identity that always comes out the same.
type person struct {
	*certstore.Identity
	key crypto.Signer
}

// steadySigner signs without chance: ECDSA after RFC 6979, RSASSA-PSS with a salt of its own choice.
type steadySigner struct {
	crypto.Signer
	salt byte
}

func (s steadySigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, ok := s.Signer.(*rsa.PrivateKey); ok {
		return s.Signer.Sign(bytes.NewReader(bytes.Repeat([]byte{s.salt}, 512)), digest, opts)
	}
	return s.Signer.Sign(nil, digest, opts)
}

func newPerson(t *testing.T, name string, key crypto.Signer) *person {
	t.Helper()
	if _, ok := key.(ed25519.PrivateKey); !ok {
		key = steadySigner{Signer: key, salt: 1}
	}
	id, err := certstore.NewIdentity([]*x509.Certificate{parse(t, certificateFor(t, name, key.Public()))}, key)
	require.NoError(t, err)
	return &person{Identity: id, key: key}
}

func fixedECDSA(t *testing.T, curve elliptic.Curve, seed string) *ecdsa.PrivateKey {
	t.Helper()
	digest := sha512.Sum512([]byte(seed))
	size := (curve.Params().BitSize + 7) / 8
	raw := make([]byte, size)
	copy(raw[1:], digest[:]) // below the order
	key, err := ecdsa.ParseRawPrivateKey(curve, raw)
	require.NoError(t, err)
	return key
}

// fixedRSA is an RSA key of 2048 bits; the offsets lead from numbers without meaning to the next suitable primes.
func fixedRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	prime := func(name string, offset int64) *big.Int {
		var raw []byte
		for i := range 2 {
			digest := sha512.Sum512(fmt.Appendf(nil, "%s %d", name, i))
			raw = append(raw, digest[:]...)
		}
		raw[0] |= 0xc0
		raw[127] |= 1
		return new(big.Int).Add(new(big.Int).SetBytes(raw), big.NewInt(offset))
	}
	p, q, one := prime("rsa p", 916), prime("rsa q", 1442), big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi), Primes: []*big.Int{p, q},
	}
	require.NoError(t, key.Validate())
	key.Precompute()
	return key
}

// certificateFor returns a certificate for any key, issued by an authority that signs without chance.
func certificateFor(t *testing.T, name string, public crypto.PublicKey, edits ...edit) []byte {
	t.Helper()
	authority := fixedKey("authority")
	parent := fixedCertificate("authority", 1, authority)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(2_000_000_000, 0),
	}
	for _, change := range edits {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, authority)
	require.NoError(t, err)
	return der
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// serial makes another certificate for the same key.
func serial(n int64) edit { return func(c *x509.Certificate) { c.SerialNumber = big.NewInt(n) } }

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Unix(1_000_000_000, 0), time.Unix(1_000_000_001, 0)
}

// certificateOfSize has exactly n bytes.
func certificateOfSize(t *testing.T, n int, name string, public crypto.PublicKey) []byte {
	t.Helper()
	fill := n - 1024
	for {
		der := certificateFor(t, name, public, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}, Value: make([]byte, fill)}}
		})
		if len(der) == n {
			return der
		}
		fill += n - len(der)
	}
}

// certificateV1 is a certificate of version 1, which has no extensions and does not name its version.
func certificateV1(t *testing.T, name string, public crypto.PublicKey) []byte {
	t.Helper()
	v3 := parse(t, certificateFor(t, name, public))
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 112}}
	body, err := asn1.Marshal(struct {
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  struct{ From, To time.Time }
		Subject   asn1.RawValue
		Key       asn1.RawValue
	}{
		big.NewInt(1), algorithm, asn1.RawValue{FullBytes: v3.RawIssuer}, struct{ From, To time.Time }{v3.NotBefore, v3.NotAfter},
		asn1.RawValue{FullBytes: v3.RawSubject}, asn1.RawValue{FullBytes: v3.RawSubjectPublicKeyInfo},
	})
	require.NoError(t, err)
	signature := ed25519.Sign(fixedKey("authority"), body)
	der, err := asn1.Marshal(struct {
		Body      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: body}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	require.NoError(t, err)
	require.Equal(t, 1, parse(t, der).Version)
	return der
}

// scene is a set of statements in the making, with a few words about each.
type scene struct {
	*testing.T
	cluster certstore.ClusterID
	set     []*certstore.Statement
	about   []string
}

func (s *scene) add(statement *certstore.Statement, about string, words ...any) *certstore.Statement {
	s.set, s.about = append(s.set, statement), append(s.about, fmt.Sprintf(about, words...))
	return statement
}

// begin adds a genesis. Only the first one decides the cluster.
func (s *scene) begin(by *person, edits ...func(*certstore.Genesis)) *certstore.Statement {
	g := &certstore.Genesis{Random: sha256.Sum256(fmt.Appendf(nil, "random %d", len(s.set))), Name: by.Name(), Certificate: by.Certificate().Raw}
	for _, change := range edits {
		change(g)
	}
	genesis, err := certstore.Issue(by.Identity, certstore.ClusterID{}, g)
	require.NoError(s, err)
	if s.cluster.IsZero() {
		s.cluster = genesis.Cluster()
	}
	return s.add(genesis, "%s begins", by.Name())
}

func recovery(p *person) func(*certstore.Genesis) {
	return func(g *certstore.Genesis) { g.Recovery = p.PublicKeyDER() }
}

type admitEdit = func(*certstore.Admission)

// rights gives other rights than both.
func rights(r certstore.Rights) admitEdit { return func(a *certstore.Admission) { a.Rights = r } }

// under gives another name than that of the subject.
func under(name string) admitEdit { return func(a *certstore.Admission) { a.Name = name } }

// with gives another certificate.
func with(der []byte) admitEdit { return func(a *certstore.Admission) { a.Certificate = der } }

// offer makes another statement of what is otherwise the same.
func offer(n byte) admitEdit { return func(a *certstore.Admission) { a.Offer = [32]byte{n} } }

func (s *scene) admit(by, who *person, edits ...admitEdit) *certstore.Statement {
	a := admission(who.Identity, certstore.DefaultRights)
	for _, change := range edits {
		change(a)
	}
	verb := "admits"
	if !a.Replaces.IsZero() {
		verb = "hands over to"
	}
	return s.add(s.sign(by, a), "%s %s %s as %s, rights %v", by.Name(), verb, who.Name(), a.Name, a.Rights)
}

// heir is a hand-over.
func (s *scene) heir(by, who *person, edits ...admitEdit) *certstore.Statement {
	return s.admit(by, who, append(edits, func(a *certstore.Admission) { a.Replaces = by.KeyID() })...)
}

func (s *scene) remove(by, who *person, keep ...*certstore.Statement) *certstore.Statement {
	return s.add(s.sign(by, removal(who.Identity, keep...)), "%s removes %s, keeping %d", by.Name(), who.Name(), len(keep))
}

func (s *scene) profile(by *person, cites *certstore.Statement, revision uint64, addresses ...string) *certstore.Statement {
	p := &certstore.MemberProfile{Revision: revision, Admit: cites.ID(), Profile: certstore.Profile{Addresses: addresses}}
	return s.add(s.sign(by, p), "profile %d of %s", revision, by.Name())
}

func (s *scene) sign(by *person, content any) *certstore.Statement {
	l := &ledger{t: s.T, cluster: s.cluster}
	return l.issue(by.Identity, content)
}

// elsewhere lets something be stated about another cluster.
func (s *scene) elsewhere(write func(other *scene)) {
	other := &scene{T: s.T, cluster: certstore.ClusterID{7}}
	write(other)
	for i, statement := range other.set {
		s.add(statement, "in another cluster: %s", other.about[i])
	}
}

// ordered makes two statements, by index, of which the first has the smaller id.
func ordered(a, b *certstore.Statement) (small, large *certstore.Statement) {
	if a.ID().Compare(b.ID()) < 0 {
		return a, b
	}
	return b, a
}

// restart makes the scene's cluster another one.
func (s *scene) restart(by *person, edits ...func(*certstore.Genesis)) {
	s.cluster, s.set, s.about = certstore.ClusterID{}, nil, nil
	s.begin(by, edits...)
}

// at is sign at another time of the issuer's clock.
func (s *scene) at(by *person, issued int64, content any, about string) {
	var statement *certstore.Statement
	var err error
	switch c := content.(type) {
	case *certstore.Removal:
		statement, err = certstore.IssueAt(by.Identity, s.cluster, time.Unix(issued, 0), c)
	case *certstore.Admission:
		statement, err = certstore.IssueAt(by.Identity, s.cluster, time.Unix(issued, 0), c)
	}
	require.NoError(s, err)
	s.add(statement, "%s", about)
}

// otherSignature is a second valid signature with the low s, by another number used once.
func otherSignature(t *testing.T, key *ecdsa.PrivateKey, message []byte) []byte {
	t.Helper()
	digest := crypto.SHA256
	if key.Curve == elliptic.P384() {
		digest = crypto.SHA384
	}
	h := digest.New()
	h.Write(message)
	order := key.Params().N
	once := fixedECDSA(t, key.Curve, "used once")
	point, err := once.PublicKey.ECDH()
	require.NoError(t, err)
	size := (key.Params().BitSize + 7) / 8
	r := new(big.Int).SetBytes(point.Bytes()[1 : 1+size])
	r.Mod(r, order)
	number := func(k *ecdsa.PrivateKey) *big.Int {
		raw, err := k.Bytes()
		require.NoError(t, err)
		return new(big.Int).SetBytes(raw)
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(h.Sum(nil)), new(big.Int).Mul(r, number(key)))
	s := sum.Mul(sum, new(big.Int).ModInverse(number(once), order))
	if s.Mod(s, order); s.Cmp(new(big.Int).Rsh(order, 1)) > 0 {
		s.Sub(order, s)
	}
	signature, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	require.NoError(t, err)
	require.NoError(t, certstore.VerifySignature(spki(t, key.Public()), message, signature))
	return signature
}

func spki(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return der
}

// keyIDOf reads the key id from a certificate, whatever its key.
func keyIDOf(t *testing.T, der []byte) certstore.KeyID {
	t.Helper()
	return certstore.KeyIDOf(parse(t, der))
}

type (
	genesisOf = certstore.Genesis
	profileOf = certstore.MemberProfile
)
