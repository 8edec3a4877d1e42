package certstore_test

import (
	"crypto"
	"io"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// liar is a device that signs something else than it was given.
type liar struct{ crypto.Signer }

func (l liar) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	other := append([]byte(nil), digest...)
	other[0] ^= 1
	return l.Signer.Sign(random, other, opts)
}

func TestKeyOfAnothersMakingIsNotBelieved(t *testing.T) {
	for _, algorithm := range []certstore.KeyAlgorithm{certstore.ECDSAP384, certstore.Ed25519} {
		made, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: algorithm})
		require.NoError(t, err)
		device := liar{made.TLSCertificate().PrivateKey.(crypto.Signer)}
		id, err := certstore.NewIdentity(made.Chain(), device)
		require.NoError(t, err)
		store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
		require.NoError(t, err)
		require.ErrorIs(t, store.Bootstrap(t.Context()), certstore.ErrSignature)
		_, in := store.Cluster()
		require.False(t, in)
		require.NoError(t, store.Close())
	}
}
