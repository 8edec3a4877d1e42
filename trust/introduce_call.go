package trust

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// meetAnew makes this machine and a member known to each other after an exchange failed because of who is at the other
// end, and tries again.
func (s *Service) meetAnew(ctx context.Context, client *http.Client, name string, because error) (exchanged, error) {
	m, err := s.store.Snapshot().ByName(name)
	if err != nil {
		return exchanged{}, err
	}
	if err := s.introduce(ctx, m); err != nil {
		if errors.Is(err, errUnproven) {
			s.unproven(name, netip.Addr{}, certstore.Fingerprint{}, err)
		}
		return exchanged{}, fmt.Errorf("%w; %w", because, err)
	}
	client.CloseIdleConnections()
	return s.replica.reconcile(ctx, client, name, nil)
}

// introduce makes this machine and the one that answers at the member's addresses known to each other, after one of them
// did not accept the other's certificate. It returns nil if both are trusted here now, and ErrRemoved if it was shown
// that this machine is no member any more. What it was shown is stored only if it proves the one or the other.
func (s *Service) introduce(ctx context.Context, m *certstore.Member) error {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	var failures []error
	for _, address := range m.Addresses {
		err := s.introduceAt(ctx, m.Name, address)
		if err == nil || errors.Is(err, ErrRemoved) {
			return err
		}
		failures = append(failures, fmt.Errorf("introduction at %s: %w", address, err))
	}
	return errors.Join(failures...)
}

func (s *Service) introduceAt(ctx context.Context, name, address string) error {
	conn, err := s.dialStranger(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	peer := conn.ConnectionState().PeerCertificates[0]
	transport := oneConnection(conn)
	defer transport.CloseIdleConnections()
	ask := func(req introduceRequest) (reply introduceReply, err error) {
		raw, err := post(ctx, transport.RoundTrip, address, introducePath, req, maxIntroduceBody)
		if err != nil {
			return reply, err
		}
		return reply, wire.DecodeJSON(raw, &reply)
	}
	cluster := s.cluster()
	reply, err := ask(introduceRequest{Cluster: cluster.String()})
	if err != nil {
		return err
	}
	if reply.Answer == answerUnknown {
		req := introduceRequest{Cluster: cluster.String()}
		if req.Statements, err = encodeChain(s.store.Evidence().Membership(s.store.Identity().KeyID())); err != nil {
			return fmt.Errorf("what makes this machine a member: %w", err)
		}
		if reply, err = ask(req); err != nil {
			return err
		}
	}
	switch reply.Answer {
	case answerKnown:
		return s.believeMember(ctx, name, cluster, peer, reply.Statements)
	case answerRemoved:
		return s.believeRemoval(ctx, name, cluster, reply.Statements)
	default:
		return fmt.Errorf("%w: it does not know this machine either", errUnproven)
	}
}

// believeMember stores what the peer sent if that makes its certificate a member's.
func (s *Service) believeMember(ctx context.Context, name string, cluster certstore.ClusterID, peer *x509.Certificate, encoded [][]byte) error {
	chain, err := parseChain(cluster, encoded, never, certstore.KindAdmit, certstore.KindProfile)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnproven, err)
	}
	if _, ok := s.store.Evidence(chain...).Snapshot().ByCertificate(peer.Raw); !ok {
		return errUnproven
	}
	s.replica.note(name, chain)
	if _, err := s.store.Merge(ctx, chain); err != nil {
		return err
	}
	if _, ok := s.store.Snapshot().ByCertificate(peer.Raw); !ok { // a removal came in meanwhile
		return errUnproven
	}
	return nil
}

// believeRemoval stores what the peer sent if this machine is no member then.
func (s *Service) believeRemoval(ctx context.Context, name string, cluster certstore.ClusterID, encoded [][]byte) error {
	chain, err := parseChain(cluster, encoded, never, certstore.KindAdmit, certstore.KindRemove)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnproven, err)
	}
	if s.memberIn(s.store.Evidence(chain...).Snapshot()) {
		return fmt.Errorf("%w: it says that this machine was removed, and cannot show it", errUnproven)
	}
	s.replica.note(name, chain)
	if _, err := s.store.Merge(ctx, chain); err != nil {
		return err
	}
	return ErrRemoved
}

// dialStranger connects to whoever is there. It proves a certificate, which is looked at afterwards.
func (s *Service) dialStranger(ctx context.Context, address string) (*tls.Conn, error) {
	raw, err := s.store.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	config, asked := certstore.JoinerTLS(s.store.Identity(), IntroduceProtocol, func(tls.ConnectionState) error { return nil })
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	if !asked() {
		raw.Close()
		return nil, ErrCertificateNotAsked
	}
	return conn, nil
}

// oneConnection returns a transport that uses this connection and no other, so that what is said and what is shown is
// said to and shown by one peer.
func oneConnection(conn net.Conn) *http.Transport {
	left := make(chan net.Conn, 1)
	left <- conn
	return &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			select {
			case c := <-left:
				return c, nil
			default:
				return nil, errors.New("trust: the connection of the introduction was closed")
			}
		},
		MaxConnsPerHost:        1,
		MaxResponseHeaderBytes: 8 << 10,
		DisableCompression:     true,
	}
}

// strangers reports whether an exchange failed because of who is at the other end: this machine does not accept that one's
// certificate, or that one breaks connections off that it has begun to answer, as it does with strangers. It is false when
// nobody answered.
func strangers(err error) bool {
	if errors.Is(err, certstore.ErrStranger) || errors.Is(err, certstore.ErrWrongMember) {
		return true
	}
	var status *statusError
	if errors.As(err, &status) {
		return status.status == http.StatusForbidden
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return brokenOff(op)
	}
	const early = "http2: client conn could not be established" // all that net/http says when it has ended before the first request
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err != nil && strings.HasSuffix(err.Error(), early)
}

// brokenOff reports whether the other end broke off a connection that it had begun to answer. Its alert may be lost with the connection.
func brokenOff(op *net.OpError) bool {
	return !op.Timeout() && (op.Op == "remote error" || op.Op == "read" || op.Op == "write")
}
