package trusttest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// knows reports whether a machine trusts another one under its name.
func (m *Machine) knows(other *Machine) bool {
	member, err := m.Store.Snapshot().ByName(other.Name)
	return err == nil && member.Fingerprint == other.id.Fingerprint()
}

// trusts reports whether all of these are members here as well. News may have come in meanwhile, and nobody is removed.
func (m *Machine) trusts(members *certstore.Snapshot) bool {
	for member := range members.Members() {
		if _, ok := m.Store.Snapshot().ByCertificate(member.Certificate.Raw); !ok {
			return false
		}
	}
	return members.Len() > 1
}

// checkJoin holds what a join returned against what both sides have.
func (c *cluster) checkJoin(m *Machine, res trust.Result, err error) {
	first := c.machines[0]
	_, in := m.Store.Cluster()
	switch {
	case errors.Is(err, session.ErrDenied), errors.Is(err, session.ErrAborted), errors.Is(err, session.ErrInvalid):
		c.fail("%s hears a decision that nobody made: %w", m.Name, err)
	case err == nil && (res.Initiator.Fingerprint != first.id.Fingerprint() || res.Initiator.Name != first.Name):
		c.fail("%s joined, and takes %v for the initiator", m.Name, res.Initiator)
	case err == nil && !(first.knows(m) && m.knows(first) && m.knows(m)):
		c.fail("%s joined, and the two sides do not agree on who they are", m.Name)
	case err == nil && !m.trusts(res.Members):
		c.fail("%s joined, and returned members that it has not stored", m.Name)
	case errors.Is(err, trust.ErrUnconfirmed) && !in:
		c.fail("%s says that it is a member, and has stored nothing: %w", m.Name, err)
	case err != nil && !errors.Is(err, trust.ErrUnconfirmed) && in && !m.before:
		c.fail("%s did not join, and has stored something: %w", m.Name, err)
	}
	m.before = in
}

// checkMembers finds members that nobody let in.
func (c *cluster) checkMembers() {
	c.mu.Lock()
	may := map[certstore.Fingerprint]string{}
	for _, m := range c.machines {
		if fp := m.id.Fingerprint(); m != c.machines[1] || c.approved[fp] {
			may[fp] = m.Name
		}
	}
	c.mu.Unlock()
	for _, m := range c.machines {
		for member := range m.Store.Snapshot().Members() {
			if may[member.Fingerprint] != member.Name {
				c.fail("%s trusts %s, whom nobody let in under that name", m.Name, member.Name)
			}
		}
	}
}

// checkProofs finds wrong proofs where everybody who proved something knew the passphrase.
func (c *cluster) checkProofs() {
	if wrong := c.session.WrongProofs(); wrong > 0 && !c.schedule.middles() {
		c.fail("%d wrong proofs were counted, and all machines are honest", wrong)
	}
}

// watch notes what the initiator is told that no joiner has said. It returns when the session, or everything, has ended.
func (c *cluster) watch(s *session.Session) {
	for event := range s.Events(c.ctx) {
		if left, ok := errors.AsType[*session.AbortedError](event.Joiner.Cause); ok && strings.Contains(left.Reason, forged) {
			c.fail("%s is said to leave, and did not say so: %w", event.Joiner.Offer.Intent.Name, left)
		}
	}
}

// agreeTime is how long it may take until all members have the same set, on a good network.
const agreeTime = 10 * time.Minute

// checkAgreement waits until all machines trust the same set, which is all of them, and each exchanges with each.
func (c *cluster) checkAgreement() {
	synctest.Wait()
	for waited := time.Duration(0); ; waited += time.Second {
		err := c.agree()
		if err == nil {
			return
		}
		if waited > agreeTime {
			c.fail("the machines do not come to agree: %w", err)
			return
		}
		c.network.pause(time.Second, nil)
	}
}

// agree returns nil, or what is still missing. Introductions can bring sets together without the exchange, so that is tried too.
func (c *cluster) agree() error {
	digest := c.machines[0].Store.Snapshot().Digest()
	for _, m := range c.machines {
		if snapshot := m.Store.Snapshot(); snapshot.Len() != len(c.machines) || snapshot.Digest() != digest {
			return fmt.Errorf("the sets do not become the same: %s has %d members", m.Name, snapshot.Len())
		}
	}
	for _, m := range c.machines {
		for _, other := range m.service.Reach(m.ctx) {
			if other.State != trust.MemberInStep {
				return fmt.Errorf("%s does not exchange with %s: %v", m.Name, other.Member.Name, other.Err)
			}
		}
	}
	return nil
}

// checkStrangers lets somebody who is no member, and does not know the passphrase, try to get in everywhere.
func (c *cluster) checkStrangers() {
	stranger, err := c.newMachine("stranger")
	if err != nil {
		c.fail("%w", err)
		return
	}
	defer c.checkMembers()
	c.checkIntruder(stranger)
	for i, protocol := range []string{"", "http/1.1", "h2", trust.Protocol, trust.IntroduceProtocol} {
		m := c.machines[(i+len(c.schedule.Fates))%len(c.machines)]
		if err := c.probe(stranger, m, protocol); err != nil {
			c.fail("a stranger who speaks %q with %s: %w", protocol, m.Name, err)
		}
	}
}

// checkIntruder lets the stranger join, either without the passphrase or with it and without an approval.
func (c *cluster) checkIntruder(stranger *Machine) {
	if !c.session.Open() {
		return
	}
	store, err := certstore.OpenBackend(stranger.disk, stranger.id)
	if err != nil {
		c.fail("%w", err)
		return
	}
	defer store.Close()
	passphrase, want := c.session.Passphrase(), session.ErrDenied
	if len(c.schedule.Fates)%2 == 1 {
		want = trust.ErrRefused
		if passphrase, err = hmacauth.GeneratePassphrase(4); err != nil {
			c.fail("%w", err)
			return
		}
	}
	_, err = trust.Join(c.ctx, c.machines[0].Address, trust.JoinConfig{
		Store: store, Passphrase: passphrase, InsecureSkipFingerprint: true, Dial: c.network.Dialer(stranger.Name),
	})
	if _, in := store.Cluster(); in || !errors.Is(err, want) {
		c.fail("a stranger joins, and should be told %q: %w", want, err)
	}
}

// errReached says that a stranger got an answer that is for members.
var errReached = errors.New("got an answer that is not the refusal")

// probe asks for the root of a daemon. Whoever answers at all answers with the one refusal.
func (c *cluster) probe(stranger, m *Machine, protocol string) error {
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	raw, err := c.network.Dialer(stranger.Name)(ctx, "tcp", m.Address)
	if err != nil {
		return err
	}
	defer raw.Close()
	cfg := certstore.PeerTLSConfig{Identity: stranger.id, Verify: func(*x509.Certificate) error { return nil }}
	if protocol != "" {
		cfg.Protocols = []string{protocol}
	}
	conn := tls.Client(raw, certstore.PeerTLS(cfg))
	if conn.HandshakeContext(ctx) != nil {
		return nil
	}
	request := "GET / HTTP/1.1\r\nHost: member\r\nConnection: close\r\n\r\n"
	if protocol == "h2" { // the preface, and no settings
		request = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	}
	go io.WriteString(conn, request)
	answer := bufio.NewReader(conn)
	if protocol == "h2" {
		if b, err := answer.Peek(1); err == nil {
			return fmt.Errorf("%w: %q", errReached, b)
		}
		return nil
	}
	resp, err := http.ReadResponse(answer, nil)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden {
		return fmt.Errorf("%w: %d %q", errReached, resp.StatusCode, body)
	}
	return nil
}
