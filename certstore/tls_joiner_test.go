package certstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func newKeyOn(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func TestJoinerTLSRefuses(t *testing.T) {
	joiner, server := mintIdentity(t, "micro02"), mintIdentity(t, "micro01")
	p521 := newKeyOn(t, elliptic.P521())
	weak := tls.Certificate{Certificate: [][]byte{mintCertificate(t, "micro01", p521).Raw}, PrivateKey: p521}
	serve := serverOf
	old := serve(server.TLSCertificate(), joinProtocol)
	old.MaxVersion = tls.VersionTLS12
	expired := mintIdentity(t, "micro01", validFrom(-2*time.Hour, -time.Hour))
	early := mintIdentity(t, "micro01", validFrom(time.Hour, 2*time.Hour))
	trusting := func(tls.ConnectionState) error { return nil }
	wrong := errors.New("not the fingerprint that was expected")
	for reason, row := range map[string]struct {
		protocol string
		server   *tls.Config
		verify   func(tls.ConnectionState) error
		want     func(error) bool
	}{
		"nothing verifies":      {joinProtocol, serve(server.TLSCertificate(), joinProtocol), nil, is(certstore.ErrConnection)},
		"verify refuses":        {joinProtocol, serve(server.TLSCertificate(), joinProtocol), func(tls.ConnectionState) error { return wrong }, is(wrong)},
		"no protocol wanted":    {"", serve(server.TLSCertificate()), trusting, anyError},
		"server without ALPN":   {joinProtocol, serve(server.TLSCertificate()), trusting, is(certstore.ErrConnection)},
		"server of another":     {joinProtocol, serve(server.TLSCertificate(), "h2"), trusting, anyError},
		"TLS 1.2":               {joinProtocol, old, trusting, anyError},
		"expired":               {joinProtocol, serve(expired.TLSCertificate(), joinProtocol), trusting, is(certstore.ErrValidity)},
		"not valid yet":         {joinProtocol, serve(early.TLSCertificate(), joinProtocol), trusting, is(certstore.ErrValidity)},
		"weak key":              {joinProtocol, serve(weak, joinProtocol), trusting, is(certstore.ErrCertificate)},
		"the joiner's identity": {joinProtocol, serve(joiner.TLSCertificate(), joinProtocol), trusting, is(certstore.ErrConnection)},
	} {
		t.Run(reason, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				client, asked := certstore.JoinerTLS(joiner, row.protocol, row.verify)
				serverErr, clientErr := exchange(t, address, row.server, client)
				require.True(t, row.want(clientErr), "client: %v", clientErr)
				require.Error(t, serverErr)
				require.False(t, asked(), "the joiner's certificate went to a server that was refused")
			}
		})
	}
}

func TestJoinerTLS(t *testing.T) {
	joiner, server := mintIdentity(t, "micro02"), mintIdentity(t, "micro01")
	asking := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: open}})
	silent := asking.Clone()
	silent.ClientAuth, silent.VerifyConnection, silent.GetConfigForClient = tls.NoClientCert, nil, nil
	for what, row := range map[string]struct {
		server *tls.Config
		asks   bool
	}{"asks": {asking, true}, "does not ask": {silent, false}} {
		t.Run(what, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				var seen certstore.Fingerprint
				client, asked := certstore.JoinerTLS(joiner, joinProtocol, func(state tls.ConnectionState) error {
					seen = certstore.FingerprintOf(state.PeerCertificates[0])
					return nil
				})
				require.False(t, asked())
				serverErr, clientErr := exchange(t, address, row.server, client)
				require.NoError(t, serverErr)
				require.NoError(t, clientErr)
				require.Equal(t, row.asks, asked())
				require.Equal(t, server.Fingerprint(), seen)
			}
		})
	}
}
