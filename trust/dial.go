package trust

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/microtrust/microtrust/certstore"
)

// dialer makes the TLS connections of one join. All of them must show the same certificate, and on each the server must
// have asked for this machine's.
type dialer struct {
	*caller
	cfg     JoinConfig
	dialled *dialled

	mu      sync.Mutex
	server  certstore.Fingerprint // of the first connection; zero before
	isKnown bool                  // the server has proved that it knows the passphrase
}

func newDialer(address string, cfg JoinConfig) *dialer {
	d := &dialer{cfg: cfg, dialled: newDialled(cfg.Dial)}
	if cfg.Dial == nil {
		d.dialled.open = cfg.Store.Dial
	}
	d.caller = newCaller(address, d.dial)
	return d
}

func (d *dialer) close() {
	d.CloseIdleConnections() // with TLS's farewell
	d.dialled.close()
}

// proved reports whether any handshake of this join came to the point where the server had proved itself.
func (d *dialer) proved() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isKnown
}

func (d *dialer) setProved() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.isKnown = true
}

func (d *dialer) fingerprint() certstore.Fingerprint {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.server
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := d.dialled.dial(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	config, asked := certstore.JoinerTLS(d.cfg.Store.Identity(), Protocol, d.verify)
	conn, err := openTLS(ctx, raw, config, d.foreign)
	if err != nil {
		return nil, err
	}
	if !asked() {
		conn.Close()
		return nil, ErrCertificateNotAsked
	}
	return conn, nil
}

// verify looks at the certificate that the server proved: the pinned one, if one is pinned, and always the same one as
// on the first connection.
func (d *dialer) verify(state tls.ConnectionState) error {
	got := certstore.FingerprintOf(state.PeerCertificates[0])
	if want := d.cfg.Fingerprint; !want.IsZero() && got != want {
		return &FingerprintError{Want: want, Got: got}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.server == (certstore.Fingerprint{}) {
		d.server = got
	}
	if got != d.server {
		return ErrServerChanged
	}
	return nil
}

// restart forgets the server of an attempt that proved nothing: a server that is no initiator may have been replaced.
func (d *dialer) restart() {
	d.CloseIdleConnections()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isKnown {
		d.server = certstore.Fingerprint{}
	}
}

// tlsError says what a broken connection means here, and foreign is what it means that the server speaks something else.
// crypto/tls tells the alerts of the other side apart by their text alone, which is the reason for looking at it; an alert
// that is not recognised leaves the initiator unreachable.
func tlsError(err, foreign error) error {
	means := ErrUnreachable
	var op *net.OpError
	switch {
	case errors.As(err, new(tls.RecordHeaderError)):
		means = foreign
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Error(), "no application protocol"):
		means = foreign
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Error(), "protocol version"):
		means = foreign
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Error(), "bad certificate"):
		means = ErrNoSession
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Error(), "certificate required"):
		means = ErrNoSession // it lets in members alone
	}
	return fmt.Errorf("%w: %w", means, err)
}
