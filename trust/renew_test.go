package trust

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// logged is a log that a test reads.
type logged struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

func (l *logged) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.out.String(), text)
}

// running runs a service until the returned function is called. Members exchange so rarely that renewal is all it does.
func running(t *testing.T, store *certstore.Store, log *logged) (stop func()) {
	t.Helper()
	s, err := NewService(Config{Store: store, Sync: 1000 * day, Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { s.Run(ctx) })
	return func() { cancel(); done.Wait() }
}

func TestCertificateIsRenewedBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir() + "/micro01"
		id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519, Lifetime: 60 * day})
		require.NoError(t, err)
		store, err := certstore.Open(dir, id)
		require.NoError(t, err)
		defer store.Close()
		require.NoError(t, store.Bootstrap(t.Context(), "127.0.0.1:1"))
		log := &logged{}
		defer running(t, store, log)()

		time.Sleep(49 * day)
		synctest.Wait()
		require.Equal(t, id.KeyID(), store.Identity().KeyID(), "not earlier than 10 days before")
		time.Sleep(day + 2*renewalPace)
		synctest.Wait()
		require.NotEqual(t, id.KeyID(), store.Identity().KeyID())
		require.True(t, store.Identity().Expires().After(id.Expires().Add(45*day)))
		require.Equal(t, certstore.RotationNone, store.Rotation())
		require.Equal(t, 1, log.count("rotation announced"))
		require.Equal(t, 1, store.Snapshot().Len())
		time.Sleep(30 * day)
		synctest.Wait()
		require.Equal(t, 1, log.count("rotation announced"), "the new one is not due")
	})
}

// issued returns an identity whose certificate comes from an authority.
func issued(t *testing.T, name string, life time.Duration) *certstore.Identity {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer ed25519.PrivateKey) (*x509.Certificate, ed25519.PrivateKey) {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		require.NoError(t, err)
		if signer == nil {
			parent, signer = template, private
		}
		template.SerialNumber = big.NewInt(time.Now().UnixNano())
		template.NotBefore, template.NotAfter = time.Now(), time.Now().Add(life)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return cert, private
	}
	ca, caKey := make(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true}, nil, nil)
	cert, key := make(&x509.Certificate{Subject: pkix.Name{CommonName: name}}, ca, caKey)
	id, err := certstore.NewIdentity([]*x509.Certificate{cert, ca}, key)
	require.NoError(t, err)
	return id
}

func TestCertificateOfAnAuthorityIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := issued(t, "micro01", 60*day)
		store := newStore(t, id)
		defer store.Close()
		require.NoError(t, store.Bootstrap(t.Context(), "127.0.0.1:1"))
		log := &logged{}
		defer running(t, store, log)()
		const text = "this machine's certificate is about to expire"
		time.Sleep(49 * day)
		synctest.Wait()
		require.Zero(t, log.count(text))
		time.Sleep(5*day + 12*time.Hour)
		synctest.Wait()
		require.InDelta(t, 5, log.count(text), 1, "once a day")
		require.Equal(t, id.KeyID(), store.Identity().KeyID(), "it is not replaced by one of another kind")
	})
}

func TestOthersThatDoNotRenewAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStore(t, newIdentity(t, "micro01"))
		defer store.Close()
		require.NoError(t, store.Bootstrap(t.Context(), "127.0.0.1:1"))
		lazy := issued(t, "micro02", 60*day)
		_, err := store.Admit(t.Context(), certstore.AdmitRequest{Certificate: lazy.Certificate(), Name: "micro02"})
		require.NoError(t, err)
		log := &logged{}
		defer running(t, store, log)()
		const text = "the certificate of a member is about to expire"
		time.Sleep(49 * day)
		synctest.Wait()
		require.Zero(t, log.count(text))
		time.Sleep(3*day + 12*time.Hour)
		synctest.Wait()
		require.InDelta(t, 3, log.count(text), 1, "once a day")
	})
}

// TestNothingIsRenewedByAWrongClock: by a clock by which every other member's certificate has expired, or has not begun, this
// machine makes no certificate that only it would take for valid, and keeps the key that the others know.
func TestNothingIsRenewedByAWrongClock(t *testing.T) {
	for name, other := range map[string]time.Duration{"all have expired": 30 * day, "one is valid": 200 * day} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519, Lifetime: 60 * day})
			require.NoError(t, err)
			store, err := certstore.Open(dir, id)
			require.NoError(t, err)
			defer store.Close()
			require.NoError(t, store.Bootstrap(t.Context(), "127.0.0.1:1"))
			_, err = store.Admit(t.Context(), certstore.AdmitRequest{Certificate: issued(t, "micro02", other).Certificate(), Name: "micro02"})
			require.NoError(t, err)
			time.Sleep(100 * day)
			log := &logged{}
			defer running(t, store, log)()
			time.Sleep(2*time.Hour + time.Minute)
			synctest.Wait()
			if name == "one is valid" {
				require.NotEqual(t, id.KeyID(), store.Identity().KeyID(), name)
				return
			}
			require.Equal(t, id.KeyID(), store.Identity().KeyID(), name)
			require.Equal(t, certstore.RotationNone, store.Rotation())
			require.Equal(t, 1, log.count("which may be wrong"), "once a day")
		})
	}
}

func TestShortLivedCertificatesAreNotRenewedAllTheTime(t *testing.T) {
	s := &Service{renew: 10 * day}
	now := time.Now()
	cert := &x509.Certificate{NotBefore: now, NotAfter: now.Add(3 * day)}
	require.False(t, s.due(cert, now))
	require.False(t, s.due(cert, now.Add(2*day-time.Second)))
	require.True(t, s.due(cert, now.Add(2*day)))
	require.True(t, s.due(cert, now.Add(4*day)))
}
