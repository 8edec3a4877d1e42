package certstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// ServerTLSConfig says how a member serves. The zero value serves HTTP to members alone.
type ServerTLSConfig struct {
	// NextProtos are the application protocols (ALPN) for members, in order of preference. Empty means "h2", "http/1.1".
	// The slice is copied.
	NextProtos []string
	// Strangers are the application protocols that a peer who is no member may speak, each with a gate that reports whether
	// it may at this moment. A gate is called in every handshake of a stranger, from many goroutines, and must not block; nil
	// means never. Each must be a protocol of its own: strangers are refused on what is empty or one of NextProtos. Nil
	// means that nobody but members gets in. The map is copied.
	Strangers map[string]func() bool
	// Guests are the peers without a member's certificate that may speak HTTP. Nil, or incomplete: none. It is shared and must not
	// be changed.
	Guests *Guests
	// Refused is told of each peer whose certificate was not accepted, with the reason, and must not block. The peer has shown
	// the certificate and not proved its key. Nil: not.
	Refused func(remote net.Addr, reason error)
	// Turn, if set, is called before a handshake computes anything that costs, on connections of [Store.Guard], with the address
	// of the peer, which may be anybody; it returns when it is this one's turn, and done is called when the connection goes on
	// to read what the peer says. An error ends the handshake. The context ends with the connection. It is called from many goroutines.
	Turn func(ctx context.Context, peer net.Addr) (done func(), err error)
	// MinVersion may be tls.VersionTLS12 for old members' sake. Every other value, zero included, means TLS 1.3, which
	// strangers must speak in any case.
	MinVersion uint16
}

// serverTLS returns the configuration of a server that presents the identity of the moment and lets in the members of the
// current snapshot, each time anew, and strangers under the conditions of cfg. See docs/trust-store.md, "TLS".
func serverTLS(identity func() *Identity, current func() *Snapshot, cfg ServerTLSConfig) *tls.Config {
	members := slices.Clone(cfg.NextProtos)
	if len(members) == 0 {
		members = []string{"h2", "http/1.1"}
	}
	gates := strangerGates{}
	for protocol, open := range cfg.Strangers {
		if open != nil && protocol != "" && !slices.Contains(members, protocol) {
			gates[protocol] = open
		}
	}
	config := baseTLS(append(slices.Clone(members), slices.Sorted(maps.Keys(gates))...))
	if cfg.MinVersion == tls.VersionTLS12 {
		config.MinVersion = tls.VersionTLS12
	}
	config.Certificates = []tls.Certificate{identity().TLSCertificate()} // for who looks; each handshake takes the one of its moment
	// Chains are not looked at: VerifyConnection pins the certificate itself.
	config.ClientAuth = tls.RequireAnyClientCert
	config.VerifyConnection = func(state tls.ConnectionState) error {
		_, err := admitPeer(&state, current(), gates)
		return err
	}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := config.Clone()
		own.Certificates = []tls.Certificate{identity().TLSCertificate()}
		told := func(err error) error {
			if err != nil && cfg.Refused != nil {
				cfg.Refused(hello.Conn.RemoteAddr(), err)
			}
			return err
		}
		own.VerifyConnection = func(state tls.ConnectionState) error {
			_, err := admitPeer(&state, current(), gates)
			return told(err)
		}
		guarded, ok := hello.Conn.(*guardedConn)
		if !ok {
			return own, nil
		}
		if err := guarded.pace.begin(hello.Context(), guarded.RemoteAddr(), cfg.Turn); err != nil {
			return nil, err
		}
		guests := slices.Contains(members, http11) && cfg.Guests.expects(guarded, hello)
		if guests {
			own.ClientAuth = tls.RequestClientCert // a member shows its own as before; VerifyConnection decides
			own.NextProtos = slices.Insert(slices.Clone(own.NextProtos), 0, http11)
		}
		own.VerifyConnection = func(state tls.ConnectionState) error {
			m, err := admitPeer(&state, current(), gates)
			switch {
			case m != nil:
				guarded.watch(func() error { return stillMember(current(), m) })
			case err != nil && guests && mayVisit(&state, err) && cfg.Guests.Open():
				cfg.Guests.enter(guarded)
				err = nil
			}
			guarded.pace.decided() // nobody waits for what is told
			return told(err)
		}
		return own, nil
	}
	return config
}

// mayVisit reports whether a peer that was not admitted, for the reason given, may be a guest: it shows no certificate, or one
// that is nobody's here, whose key it has to prove before its handshake ends, and speaks nothing but HTTP/1.1.
func mayVisit(state *tls.ConnectionState, reason error) bool {
	unknown := len(state.PeerCertificates) == 0 || errors.As(reason, new(*StrangerError))
	return unknown && !state.DidResume && state.Version == tls.VersionTLS13 &&
		(state.NegotiatedProtocol == "" || state.NegotiatedProtocol == http11)
}

// strangerGates says by protocol when strangers may speak it.
type strangerGates map[string]func() bool

// admitPeer decides over a client: it returns the member, or nil and no error for a stranger who may come in.
func admitPeer(state *tls.ConnectionState, snapshot *Snapshot, gates strangerGates) (*Member, error) {
	leaf, err := provedLeaf(state, time.Now())
	if err != nil {
		return nil, err
	}
	if m, ok := snapshot.ByCertificate(leaf.Raw); ok {
		return m, nil
	}
	open, ours := gates[state.NegotiatedProtocol]
	if !ours || state.Version != tls.VersionTLS13 || !open() {
		return nil, snapshot.strangerError(leaf)
	}
	return nil, CheckCertificate(leaf)
}

// stillMember returns nil as long as the certificate that m was admitted with is a member's, and valid.
func stillMember(snapshot *Snapshot, m *Member) error {
	if err := checkValidity(m.Certificate, time.Now()); err != nil {
		return err
	}
	if _, ok := snapshot.ByCertificate(m.Certificate.Raw); !ok {
		return snapshot.strangerError(m.Certificate)
	}
	return nil
}

// clientTLS returns the configuration of a client that calls the member with this name, as the current snapshot of the
// moment of each handshake knows it, and presents the identity of that moment.
func clientTLS(identity func() *Identity, current func() *Snapshot, name string) *tls.Config {
	config := pinnedClient(func(state tls.ConnectionState) error {
		_, err := current().authorizeNamed(&state, name, time.Now())
		return err
	}, "h2", "http/1.1")
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return clientCertificate(identity())(request)
	}
	return config
}

// JoinerTLS returns the configuration of a client that isn't a member yet and calls a server that it does not know yet.
// It is for one connection. It speaks the application protocol given and no other, and hands every connection to verify,
// after the checks that hold for all: TLS 1.3, no resumption, a certificate that passes CheckCertificate, is valid now, and is not
// the joiner's own. If verify is nil, or returns an error, the handshake fails before the joiner's certificate is sent. The
// server proves the key of its certificate after verify, or the handshake fails: verify decides, and has to note nothing.
//
// After the handshake, asked reports whether the server demanded the joiner's certificate. If it did not, the server
// does not know whom it talks to, and nothing must be sent. See docs/protocol.md, "Channel".
func JoinerTLS(id *Identity, protocol string, verify func(tls.ConnectionState) error) (config *tls.Config, asked func() bool) {
	config = pinnedClient(func(state tls.ConnectionState) error {
		if err := checkUnknownServer(&state, id, protocol); err != nil {
			return err
		}
		if verify == nil {
			return fmt.Errorf("%w: nothing verifies the server", ErrConnection)
		}
		return verify(state)
	}, protocol)
	var wasAsked atomic.Bool
	present := clientCertificate(id)
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		wasAsked.Store(true)
		return present(request)
	}
	return config, wasAsked.Load
}

func checkUnknownServer(state *tls.ConnectionState, id *Identity, protocol string) error {
	if protocol == "" || state.NegotiatedProtocol != protocol {
		return fmt.Errorf("%w: the server does not speak %q; it may have nothing open", ErrConnection, protocol)
	}
	_, err := checkServer(state, id)
	return err
}

// pinnedClient returns the configuration of a client whose servers are decided over by verify alone.
func pinnedClient(verify func(tls.ConnectionState) error, protocols ...string) *tls.Config {
	config := baseTLS(protocols)
	// This turns off the check of chain and host name, which would ask authorities that have no say here. In its place
	// stands VerifyConnection, in this function and nowhere else: crypto/tls calls it in every handshake, the resumed
	// included, before the client sends its own certificate. The server's proof of its key comes between the two, so what
	// decides here says who may be talked to, and who is there is known when the handshake has ended well.
	config.InsecureSkipVerify = true
	config.VerifyConnection = verify
	return config
}

// baseTLS returns what holds for all: TLS 1.3, and no tickets, so that every connection proves a key.
func baseTLS(protocols []string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             slices.Clone(protocols),
		SessionTicketsDisabled: true,
	}
}

// clientCertificate presents the identity whatever authorities the server says it would like.
func clientCertificate(id *Identity) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert := id.TLSCertificate()
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
}
