package certstore

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// Authorize returns the member at the other end of a connection: the one whose certificate the peer proved possession of.
// It takes constant time and, on success, allocates nothing. It looks at the snapshot it is called on, so ask for a fresh
// snapshot for each request. The error is ErrConnection, wrapped, without TLS (nil), without a finished handshake, without
// certificate and on a resumed session, which proves a ticket and no key; ErrValidity, wrapped, if the certificate is not
// valid at now; or a *StrangerError.
func (s *Snapshot) Authorize(state *tls.ConnectionState, now time.Time) (*Member, error) {
	if state == nil || !state.HandshakeComplete {
		return nil, fmt.Errorf("%w: no finished TLS handshake", ErrConnection)
	}
	return s.authorize(state, now)
}

// authorize is Authorize during the handshake as well.
func (s *Snapshot) authorize(state *tls.ConnectionState, now time.Time) (*Member, error) {
	leaf, err := provedLeaf(state, now)
	if err != nil {
		return nil, err
	}
	m, ok := s.ByCertificate(leaf.Raw)
	if !ok {
		return nil, s.strangerError(leaf)
	}
	return m, nil
}

// authorizeNamed is authorize for a client that calls one member by name.
func (s *Snapshot) authorizeNamed(state *tls.ConnectionState, name string, now time.Time) (*Member, error) {
	m, err := s.authorize(state, now)
	if err != nil {
		return nil, err
	}
	return m, s.checkNamed(m, name)
}

// checkNamed returns nil if m may answer to name: it holds it, alone or with keys of its own machine.
func (s *Snapshot) checkNamed(m *Member, name string) error {
	if _, err := s.ByName(name); err != nil {
		return err
	}
	if m.Name != name {
		return &WrongMemberError{Want: name, Got: m.Name, Fingerprint: m.Fingerprint}
	}
	return nil
}

func (s *Snapshot) strangerError(leaf *x509.Certificate) *StrangerError {
	return &StrangerError{Fingerprint: FingerprintOf(leaf), Removed: s.Gone(KeyIDOf(leaf))}
}

// provedLeaf returns the certificate whose key the peer used in this very handshake, if it is valid at now.
func provedLeaf(state *tls.ConnectionState, now time.Time) (*x509.Certificate, error) {
	switch {
	case state.DidResume:
		return nil, fmt.Errorf("%w: resumed session", ErrConnection)
	case len(state.PeerCertificates) == 0:
		return nil, fmt.Errorf("%w: no certificate", ErrConnection)
	}
	leaf := state.PeerCertificates[0]
	return leaf, checkValidity(leaf, now)
}

func checkValidity(cert *x509.Certificate, now time.Time) error {
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("%w: valid from %s to %s, now is %s", ErrValidity,
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}
