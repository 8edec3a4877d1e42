package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// proveStranger: now that the session is over, not even the join protocol lets a stranger in. It is the same stranger as
// during the session, and counts once.
func (c *cluster) proveStranger(ctx context.Context, found *result) error {
	if err := c.tryStranger(ctx, "after", false); err != nil {
		return err
	}
	found.strangers++
	return nil
}

// tryStranger has a machine that is no member call every daemon, with and without the ALPN of the join protocol. While a
// session is open, the first daemon takes the connection with that ALPN, and serves nothing but the join.
func (c *cluster) tryStranger(ctx context.Context, when string, open bool) error {
	c.screen.title("a stranger knocks " + when + " the session")
	for i, d := range c.daemons {
		for _, protocol := range []string{"http/1.1", trust.Protocol} {
			if err := c.refuses(ctx, d, c.stranger, protocol, open && i == 0 && protocol == trust.Protocol); err != nil {
				return fmt.Errorf("%s, a stranger with ALPN %s: %w", d.name, protocol, err)
			}
			c.screen.show(d.name, "refused a stranger with ALPN %s", protocol)
		}
	}
	return nil
}

// refuses checks that the daemon refuses this identity: in TLS, or, where the join protocol is open, with a status. No handler
// of the daemon may have seen anything of it.
func (c *cluster) refuses(ctx context.Context, d *daemon, id *certstore.Identity, protocol string, open bool) error {
	served := d.served.from(id)
	status, err := knock(ctx, id, d.address, protocol)
	switch {
	case d.served.from(id) != served:
		return errors.New("it reached a handler")
	case open && (err != nil || status != http.StatusForbidden):
		return fmt.Errorf("it was answered %d, %v", status, err)
	case !open && err == nil:
		return fmt.Errorf("TLS let it in; it was answered %d", status)
	case !open && !isAlert(err):
		return fmt.Errorf("it was not refused by TLS, but: %w", err)
	}
	return nil
}

// isAlert reports whether the other side refused in TLS.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// knock asks for the daemon's endpoint and returns the status of the answer. TLS 1.3 tells a client that its certificate is
// refused only after the handshake, with the first read.
func knock(ctx context.Context, id *certstore.Identity, address, protocol string) (int, error) {
	config, _ := certstore.JoinerTLS(id, protocol, func(tls.ConnectionState) error { return nil })
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(requestTime)); err != nil {
		return 0, err
	}
	request, err := http.NewRequest(http.MethodGet, "https://"+address+"/greeting", nil)
	if err != nil {
		return 0, err
	}
	if err := request.Write(conn); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
