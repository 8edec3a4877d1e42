package certstore_test

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestPeerTLSRefuses(t *testing.T) {
	caller, server := mintIdentity(t, "micro02"), mintIdentity(t, "micro01")
	p521 := newKeyOn(t, elliptic.P521())
	weak := tls.Certificate{Certificate: [][]byte{mintCertificate(t, "micro01", p521).Raw}, PrivateKey: p521}
	old := serverOf(server.TLSCertificate())
	old.MaxVersion = tls.VersionTLS12
	expired := mintIdentity(t, "micro01", validFrom(-2*time.Hour, -time.Hour))
	trusting := func(*x509.Certificate) error { return nil }
	wrong := errors.New("not the certificate that was expected")
	for reason, row := range map[string]struct {
		server *tls.Config
		verify func(*x509.Certificate) error
		want   func(error) bool
	}{
		"nothing verifies":      {serverOf(server.TLSCertificate()), nil, is(certstore.ErrConnection)},
		"verify refuses":        {serverOf(server.TLSCertificate()), func(*x509.Certificate) error { return wrong }, is(wrong)},
		"other protocols alone": {serverOf(server.TLSCertificate(), "other"), trusting, anyError},
		"TLS 1.2":               {old, trusting, anyError},
		"expired":               {serverOf(expired.TLSCertificate()), trusting, is(certstore.ErrValidity)},
		"weak key":              {serverOf(weak), trusting, is(certstore.ErrCertificate)},
		"the caller's identity": {serverOf(caller.TLSCertificate()), trusting, is(certstore.ErrConnection)},
	} {
		t.Run(reason, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				client := certstore.PeerTLS(certstore.PeerTLSConfig{Identity: caller, Protocols: []string{"http/1.1"}, Verify: row.verify})
				_, clientErr := exchange(t, address, row.server, client)
				require.True(t, row.want(clientErr), "client: %v", clientErr)
			}
		})
	}
}

func TestPeerTLS(t *testing.T) {
	caller, server := mintIdentity(t, "micro02"), mintIdentity(t, "micro01")
	for what, row := range map[string]struct {
		anonymous bool
		protocols []string
	}{
		"shows its certificate": {false, []string{"http/1.1"}},
		"shows none":            {true, []string{"http/1.1"}},
		"without ALPN":          {false, nil},
	} {
		t.Run(what, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				var seen, shown certstore.Fingerprint
				client := certstore.PeerTLS(certstore.PeerTLSConfig{
					Identity: caller, Anonymous: row.anonymous, Protocols: row.protocols,
					Verify: func(leaf *x509.Certificate) error { seen = certstore.FingerprintOf(leaf); return nil },
				})
				asking := serverOf(server.TLSCertificate(), row.protocols...)
				asking.ClientAuth = tls.RequestClientCert
				asking.VerifyConnection = func(state tls.ConnectionState) error {
					if len(state.PeerCertificates) > 0 {
						shown = certstore.FingerprintOf(state.PeerCertificates[0])
					}
					return nil
				}
				serverErr, clientErr := exchange(t, address, asking, client)
				require.NoError(t, serverErr)
				require.NoError(t, clientErr)
				require.Equal(t, server.Fingerprint(), seen)
				require.Equal(t, row.anonymous, shown.IsZero())
			}
		})
	}
}

// TestPeerTLSProvesTheKeyLast: Verify sees certificates whose key the server does not have, and then the handshake fails.
func TestPeerTLSProvesTheKeyLast(t *testing.T) {
	caller, server := mintIdentity(t, "micro02"), mintIdentity(t, "micro01")
	forged := server.TLSCertificate()
	forged.PrivateKey = mintIdentity(t, "micro03").TLSCertificate().PrivateKey
	seen := 0
	for _, address := range loopbacks(t) {
		client := certstore.PeerTLS(certstore.PeerTLSConfig{Identity: caller, Verify: func(*x509.Certificate) error { seen++; return nil }})
		_, clientErr := exchange(t, address, serverOf(forged), client)
		require.ErrorContains(t, clientErr, "signature")
	}
	require.NotZero(t, seen)
}

// serverOf is a server that shows a certificate and demands one.
func serverOf(certificate tls.Certificate, protocols ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert, NextProtos: protocols}
}
