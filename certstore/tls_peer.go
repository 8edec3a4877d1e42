package certstore

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// PeerTLSConfig says how to call a machine that is no member, in a protocol that is not our own.
type PeerTLSConfig struct {
	// Identity is this machine's: a server that has it as well is refused. Required.
	Identity *Identity
	// Anonymous shows no certificate to a server that asks for one. Otherwise it gets the identity's, after Verify.
	Anonymous bool
	// Protocols are the application protocols (ALPN) that are offered; the server may ignore all of them. Nil offers none.
	// The slice is copied.
	Protocols []string
	// Verify decides over the server's certificate, and is all that does: an error ends the handshake before anything is sent.
	// The server proves the key after that, or the handshake fails; so take nothing for proved that only Verify has seen.
	// Required; it is called from the goroutine of each handshake.
	Verify func(leaf *x509.Certificate) error
}

// PeerTLS returns the configuration of a client that calls a machine which is no member. Before cfg.Verify is asked, every
// connection passes the checks that hold for all: TLS 1.3, no resumption, a certificate that passes CheckCertificate, is valid
// now, and is not this machine's own. The errors are ErrConnection, ErrValidity and
// ErrCertificate, wrapped, and those of cfg.Verify. The caller owns the configuration; what it must leave alone is what
// Store.ClientTLS says.
func PeerTLS(cfg PeerTLSConfig) *tls.Config {
	protocols := slices.Clone(cfg.Protocols)
	config := pinnedClient(func(state tls.ConnectionState) error {
		leaf, err := checkServer(&state, cfg.Identity)
		switch {
		case err != nil:
			return err
		case cfg.Verify == nil:
			return fmt.Errorf("%w: nothing verifies the server", ErrConnection)
		}
		return cfg.Verify(leaf)
	}, protocols...)
	if !cfg.Anonymous {
		config.GetClientCertificate = clientCertificate(cfg.Identity)
	}
	return config
}

// checkServer holds what is asked of every server that is called as a stranger, whatever else decides over it.
func checkServer(state *tls.ConnectionState, own *Identity) (*x509.Certificate, error) {
	leaf, err := provedLeaf(state, time.Now())
	switch {
	case err != nil:
		return nil, err
	case state.Version != tls.VersionTLS13:
		return nil, fmt.Errorf("%w: not TLS 1.3", ErrConnection)
	case FingerprintOf(leaf) == own.Fingerprint() || KeyIDOf(leaf) == own.KeyID():
		return nil, fmt.Errorf("%w: the server has this machine's own identity", ErrConnection)
	}
	return leaf, CheckCertificate(leaf)
}
