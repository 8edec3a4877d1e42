package certstore_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// actor is somebody in a history. The same keys and certificates come out of every run, and with them the order of ids.
type actor struct {
	id    *certstore.Identity // signs in no time, see certstore.Quick
	key   certstore.KeyID
	bit   uint32               // of this actor in a set of actors
	certs [4]*x509.Certificate // its own; another one for its key; of another key; one that cannot be used
	raw   [4][]byte
}

// fixedKey returns the Ed25519 key that belongs to a text.
func fixedKey(seed string) ed25519.PrivateKey {
	digest := sha256.Sum256([]byte(seed))
	return ed25519.NewKeyFromSeed(digest[:])
}

// fixedCertificate returns a self-signed certificate that depends on nothing but the arguments.
func fixedCertificate(name string, serial int64, key ed25519.PrivateKey) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(2_000_000_000, 0), BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

const castSize = 12

var cast = sync.OnceValue(func() []*actor {
	all := make([]*actor, castSize)
	for i := range all {
		name, key := fmt.Sprintf("m%d", i), fixedKey(fmt.Sprintf("actor %d", i))
		cert, renewed := fixedCertificate(name, 1, key), fixedCertificate(name, 2, key)
		foreign := fixedCertificate(name, 3, fixedKey("nobody"))
		id, err := certstore.NewIdentity([]*x509.Certificate{cert}, key)
		if err != nil {
			panic(err)
		}
		all[i] = &actor{
			id: certstore.Quick(id), key: id.KeyID(), bit: 1 << i,
			certs: [4]*x509.Certificate{cert, renewed, foreign, nil},
			raw:   [4][]byte{cert.Raw, renewed.Raw, foreign.Raw, []byte("no certificate")},
		}
	}
	return all
})
