package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
)

// dialSoon opens a connection to one of several addresses, and gives it up before anybody loses patience.
func dialSoon(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: soon}).DialContext(ctx, network, address)
}

// soon is how long one of several servers may take until it gets a proof.
const soon = 10 * time.Second

// joinSoon is a join with one of several servers, given up if that does not come to the proof in time: others are to be tried, and
// anybody may answer a search.
func joinSoon(ctx context.Context, server string, cfg trust.JoinConfig, within time.Duration) (trust.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(within, func() { cancel(fmt.Errorf("%w: it does not answer within %v", trust.ErrUnreachable, within)) })
	defer timer.Stop()
	report := cfg.Progress
	cfg.Progress = func(p trust.Progress) {
		if p.Stage >= trust.Proving {
			timer.Stop()
		}
		report(p)
	}
	return trust.Join(ctx, server, cfg)
}

// inOrder tries to join at one address after the other, until one of them decides. What a search found may be anybody's: each
// address that gets a proof of the passphrase can test one guess with it. So join also says whether it came to that, and then
// there is no next address.
func inOrder(servers []string, join func(server string) (res trust.Result, proving bool, err error)) (trust.Result, error) {
	var failed error
	for _, server := range servers {
		res, proving, err := join(server)
		if proving || len(servers) == 1 || !elsewhere(err) {
			return res, err
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", server, err))
	}
	return trust.Result{}, failed
}

// elsewhere reports whether the server that is meant may still be at another address. A server that asks for no certificate, or shows
// one that is not valid, is none of these: an invitation, which knows the server's, goes on then, and here a person is to hear of it.
func elsewhere(err error) bool {
	return terminal.IsAny(err, trust.ErrUnreachable, trust.ErrNoSession, trust.ErrNotMicrotrust, trust.ErrNotMicroCloud) || errors.As(err, new(*trust.FingerprintError))
}
