package trust

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
)

// courier serves one joiner that speaks MicroCloud-1.0, from its intent until it has heard how it ended: it proves that the joiner
// holds the key of its certificate before the admission, brings the confirmation after it, and otherwise tells the end.
type courier struct {
	from    *MicroCloud
	offer   session.Offer
	id      session.OfferID
	address string
	ctx     context.Context // until run ends
	cancel  context.CancelFunc
	done    chan struct{} // closed when the joiner has heard, or cannot be told

	mu   sync.Mutex
	held net.Conn // over which the joiner has proved its key; nil if there is none
}

const (
	// reachPatience is how long an approval tries to reach the joiner.
	reachPatience = 5 * time.Second
	// tellPatience is how long a courier tries to tell a joiner that it ended.
	tellPatience = 10 * time.Second
)

// run follows the offer until there is nothing left to tell.
func (c *courier) run() {
	defer c.from.service.couriers.remove(c)
	open := c.from.open
	for {
		changed := open.Changed(c.id) // taken before looking, so that no change is missed
		j, known := open.Lookup(c.id)
		switch {
		case !known:
			c.tell(session.ErrSuperseded)
			return
		case j.State == session.StateAdmitted && !j.Away:
			c.confirm()
			if j, _ := open.Lookup(c.id); j.State == session.StateJoined {
				c.from.service.countJoin(stateJoined, "")
			}
			return
		case j.State.Final() || j.Away:
			if j.State != session.StateJoined {
				c.from.service.countJoin(stateRefused, session.CodeOf(j.Cause))
			}
			if j.State != session.StateJoined && !errors.Is(j.Cause, session.ErrAborted) {
				c.tell(j.Cause)
			}
			return
		}
		<-changed // at the latest when the session closes
	}
}

// reach opens a connection to the address of the intent, over which the joiner proves the certificate of the intent. It ends
// with the courier: a joiner that has left is not admitted.
func (c *courier) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachPatience)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	for retry := 0; ; retry++ {
		conn, err := c.dial(ctx)
		if err == nil && c.hold(conn) {
			return nil
		}
		if c.ctx.Err() != nil {
			return session.ErrAborted
		}
		if errors.Is(err, errOtherCertificate) || pause(ctx, backOff(retry)) != nil {
			return fmt.Errorf("the joiner cannot be reached at %s with the certificate of its intent: %w", c.address, err)
		}
	}
}

// dial shows this machine's certificate only to whoever has proved that of the intent.
func (c *courier) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.from.service.limits.RequestTime)
	defer cancel()
	raw, err := c.from.service.store.Dial(ctx, "tcp", c.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return openTLS(ctx, raw, certstore.PeerTLS(certstore.PeerTLSConfig{
		Identity: c.from.service.store.Identity(), Protocols: []string{"http/1.1"},
		Verify: func(leaf *x509.Certificate) error {
			if !leaf.Equal(c.offer.Certificate) {
				return errOtherCertificate
			}
			return nil
		},
	}), ErrNotMicroCloud)
}

// hold keeps a connection in place of the former one; when the courier has ended, it keeps none and returns false.
func (c *courier) hold(conn net.Conn) bool {
	c.mu.Lock()
	ended := c.ctx.Err() != nil
	useless := []net.Conn{c.held}
	if c.held = conn; ended {
		c.held, useless = nil, append(useless, conn)
	}
	c.mu.Unlock()
	for _, conn := range useless {
		if conn != nil {
			conn.Close()
		}
	}
	return !ended
}

func (c *courier) letGo() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	conn := c.held
	c.held = nil
	return conn
}

// confirm brings this machine's own intent until the joiner has taken it, or there is nobody to bring it to any more.
func (c *courier) confirm() {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	go func() { // ends what is under way as well, be the joiner busy for ever
		defer cancel()
		c.settle(ctx)
	}()
	for retry := 0; ctx.Err() == nil && c.owed(); retry++ {
		goesOn, err := c.confirmOnce(ctx)
		var refused *microcloudwire.ReplyError
		switch {
		case err == nil && goesOn:
			<-ctx.Done()
			return
		case err == nil, errors.As(err, &refused) && refused.Text == microcloudwire.TextDuplicate: // it took an earlier one
			if err := c.from.open.Confirm(c.id); err == nil {
				c.from.service.log.Info("member joined", "protocol", c.offer.Protocol, "fingerprint", c.offer.Fingerprint())
			}
			return
		case retry == 0 && ctx.Err() == nil:
			c.from.service.log.Warn("an admitted joiner has not taken its confirmation yet", "name", c.offer.Intent.Name, "address", c.address, "error", err)
		}
		_ = pause(ctx, backOff(retry))
	}
}

// owed reports whether the joiner is admitted, has not left, and has not confirmed that it knows.
func (c *courier) owed() bool {
	j, known := c.from.open.Lookup(c.id)
	return known && j.State == session.StateAdmitted && !j.Away && takesProofs(c.from.open)
}

// settle waits until nothing is owed to the joiner any more: it has confirmed, shows that it has the member set by calling as a member, or
// has left.
func (c *courier) settle(ctx context.Context) {
	open := c.from.open
	for ctx.Err() == nil {
		changed := open.Changed(c.id) // taken before looking, so that no change is missed
		if !c.owed() {
			return
		}
		select {
		case <-changed:
		case <-open.Ended():
		case <-ctx.Done():
		}
	}
}

// confirmOnce reports whether the joiner goes on to get the member set.
func (c *courier) confirmOnce(ctx context.Context) (goesOn bool, err error) {
	header, body, err := c.from.confirmation(ctx)
	if err != nil {
		return false, err
	}
	reply, err := c.send(ctx, http.MethodPost, microcloudwire.JoinPath, header, body)
	return reply.header.Get(goesOnHeader) != "", err
}

// tell says that it has ended, with the reason.
func (c *courier) tell(cause error) {
	ctx, cancel := context.WithTimeout(c.ctx, tellPatience)
	defer cancel()
	body, err := microcloudwire.EncodeStop(reasonOf(cause))
	for retry := 0; err == nil; retry++ {
		if _, err = c.send(ctx, http.MethodPut, microcloudwire.StopPath, "", body); err == nil {
			return
		}
		if !errors.As(err, new(*microcloudwire.ReplyError)) && pause(ctx, backOff(retry)) == nil {
			err = nil
		}
	}
	c.from.service.log.Info("a joiner could not be told that it ended", "name", c.offer.Intent.Name, "address", c.address, "error", err)
}

// send makes one request of the joiner, over the connection that is held if there is one.
func (c *courier) send(ctx context.Context, method, path, header string, body []byte) (callReply, error) {
	caller := newMicrocloudCaller(c.address, func(ctx context.Context, _, _ string) (net.Conn, error) {
		if conn := c.letGo(); conn != nil {
			return conn, nil
		}
		return c.dial(ctx)
	})
	defer caller.CloseIdleConnections()
	reply, err := caller.send(ctx, method, path, header, body)
	if err != nil {
		return reply, err
	}
	return reply, microcloudwire.ParseReply(reply.status, reply.body)
}

// couriers are those that are under way.
type couriers struct {
	mu  sync.Mutex
	all map[session.OfferID]*courier
}

// add refuses an offer that has a courier of the same session.
func (t *couriers) add(c *courier) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if before := t.all[c.id]; before != nil && before.from.open == c.from.open {
		return false
	}
	t.all[c.id] = c
	return true
}

func (t *couriers) remove(c *courier) {
	c.cancel()
	c.hold(nil)
	t.mu.Lock()
	if t.all[c.id] == c {
		delete(t.all, c.id)
	}
	t.mu.Unlock()
	close(c.done)
}

func (t *couriers) get(id session.OfferID) *courier {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all[id]
}

func (t *couriers) any(open *session.Session) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if c.from.open == open {
			return true
		}
	}
	return false
}

// of returns those that serve a certificate, of whatever session: one may be in its grace period while the next is open.
func (t *couriers) of(fp certstore.Fingerprint) (found []*courier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if c.offer.Fingerprint() == fp {
			found = append(found, c)
		}
	}
	return found
}

// next returns any courier that is under way; nil if there is none.
func (t *couriers) next() *courier {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		return c
	}
	return nil
}
