package trust_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// securityLog keeps what a service logs, and finds the records of one security event.
type securityLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *securityLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *securityLog) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }

func (l *securityLog) events(t *testing.T, event string) (found []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.text.Bytes()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal(line, &record))
		if record["event"] == event {
			require.Equal(t, true, record["security"])
			require.Equal(t, "AUTHN", record["category"])
			found = append(found, record)
		}
	}
	return found
}

// presents begins a handshake with an invitation, whatever that says of its initiator, and returns the reply to the proof.
func (m *machine) presents(inv invitation.Invitation, to *machine, name string) (*rawJoiner, map[string]any) {
	m.t.Helper()
	j := raw(m.t, m, to, wrong(m.t))
	j.secret = inv.Secret()
	hello := j.helloMessage(inv.Selector())
	j.derive(hello.body, j.send(hello))
	return j, j.call(j.sign(hmacauth.EndpointJoin, intent(name)))
}

// outcomeOf returns what the joiner is told in the end.
func (j *rawJoiner) outcomeOf(joined map[string]any) map[string]any {
	if joined["state"] == "pending" {
		return j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
	}
	return joined
}

// watched is a founder whose security log is kept.
func watched(t *testing.T) (*machine, *securityLog) {
	t.Helper()
	log := new(securityLog)
	cfg := generous()
	cfg.Logger = log.logger()
	m := newMachine(t, "micro01").serve(cfg)
	require.NoError(t, m.store.Bootstrap(t.Context(), m.addr))
	return m, log
}

// TestInvitationIsUsedOnce: whoever else has the string is told that it was used, whatever name is given, and it is recorded.
func TestInvitationIsUsedOnce(t *testing.T) {
	first, log := watched(t)
	inv := first.invite("micro02")
	require.Len(t, log.events(t, "authn_token_created"), 1)
	_, err := newMachine(t, "micro02").accept(inv)
	require.NoError(t, err)
	thief := newMachine(t, "micro02")
	_, err = thief.accept(inv)
	require.ErrorIs(t, err, session.ErrInvitationUsed)
	_, reply := newMachine(t, "other").presents(inv, first, "other")
	require.Equal(t, "invitation-used", reply["code"])
	require.Equal(t, 2, first.store.Snapshot().Len())
	_, in := thief.store.Cluster()
	require.False(t, in)
	reused := log.events(t, "authn_token_reuse")
	require.Len(t, reused, 2)
	require.Equal(t, inv.ID.String(), reused[0]["id"])
	require.Equal(t, thief.store.Identity().Fingerprint().String(), reused[0]["fingerprint"])
	require.Equal(t, "ERROR", reused[0]["level"])
	require.NotContains(t, lazily(log).String(), inv.Reveal()[40:60], "the secret is in no record")
}

// TestOfManyWithOneInvitationOneJoins: machines of one name with one invitation, all at once.
func TestOfManyWithOneInvitationOneJoins(t *testing.T) {
	first := target(t)
	inv := first.invite("micro02")
	const many = 6
	errs := make(chan error, many)
	for range many {
		m := newMachine(t, "micro02")
		go func() {
			_, err := m.accept(inv)
			errs <- err
		}()
	}
	joined := 0
	for range many {
		if err := <-errs; err == nil {
			joined++
		} else {
			require.ErrorIs(t, err, session.ErrInvitationUsed)
		}
	}
	require.Equal(t, 1, joined)
	require.Equal(t, 2, first.store.Snapshot().Len())
}

// TestRefusedInvitationsStayOpen: what is wrong about a joiner neither binds nor uses the invitation.
func TestRefusedInvitationsStayOpen(t *testing.T) {
	first, _ := watched(t)
	inv, err := first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02", Services: map[string]string{"storage": "2"}})
	require.NoError(t, err)
	removed, holder := newMachine(t, "micro04"), newMachine(t, "micro03")
	byName := first.invite("micro03")
	s := first.open(session.Config{})
	for _, m := range []*machine{removed, holder} {
		_, err := trust.Join(t.Context(), first.addr, m.joinConfig(s, first))
		require.NoError(t, err)
	}
	_, err = first.store.Remove(t.Context(), certstore.RemoveRequest{Key: removed.store.Identity().KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)

	rows := map[string]struct {
		from *machine
		inv  invitation.Invitation
		name string
		code string
	}{
		"another name":             {newMachine(t, "other"), inv, "other", "name-unwanted"},
		"a service is missing":     {newMachine(t, "micro02"), inv, "micro02", "service-mismatch"},
		"a member has the name":    {newMachine(t, "micro03"), byName, "micro03", "name-conflict"},
		"its key was removed":      {removed, byName, "micro03", "removed"},
		"no name at all":           {newMachine(t, "other"), byName, "", "invalid"},
		"a member has it, another": {newMachine(t, "other"), byName, "other", "name-unwanted"},
	}
	for about, row := range rows {
		j, reply := row.from.presents(row.inv, first, row.name)
		reply = j.outcomeOf(reply)
		require.Equal(t, "refused", reply["state"], about)
		require.Equal(t, row.code, reply["code"], about)
		require.Equal(t, trust.InvitationOpen, first.status(row.inv.ID).State, about)
	}
	right := newMachine(t, "micro02")
	_, err = trust.Join(t.Context(), "", trust.JoinConfig{Store: right.store, Invitation: inv, Services: map[string]string{"storage": "2"}})
	require.NoError(t, err)
	require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
}

// TestRevokedInvitation: nobody comes in by it, not even who was bound to it.
func TestRevokedInvitation(t *testing.T) {
	first, log := watched(t)
	inv := first.invite("micro02")
	for range 2 {
		require.NoError(t, first.svc.RevokeInvitation(t.Context(), inv.ID))
		require.Equal(t, trust.InvitationRevoked, first.status(inv.ID).State)
	}
	require.Len(t, log.events(t, "authn_token_revoked"), 1)
	_, err := newMachine(t, "micro02").accept(inv)
	require.ErrorIs(t, err, session.ErrInvitationRevoked)
	require.Len(t, log.events(t, "authn_token_reuse"), 1)
	require.Equal(t, 1, first.store.Snapshot().Len())
}

// TestExpiredInvitation: its time is up by the clock of the initiator, which tells whoever comes for another day, and then lets no stranger
// through TLS any more.
func TestExpiredInvitation(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		second := newMachine(t, "micro02")
		inv, err := first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02", Life: time.Hour, Addresses: []string{firstAddr}})
		require.NoError(t, err)
		cfg := trust.JoinConfig{Store: second.store, Invitation: inv, Dial: n.dial}
		pass(time.Hour - time.Second)
		require.Equal(t, trust.InvitationOpen, first.status(inv.ID).State)
		pass(time.Second)
		require.Equal(t, trust.InvitationExpired, first.status(inv.ID).State)
		_, err = trust.Join(t.Context(), "", cfg)
		require.ErrorIs(t, err, session.ErrInvitationExpired)
		pass(24 * time.Hour)
		_, err = trust.Join(t.Context(), "", cfg)
		require.ErrorIs(t, err, session.ErrInvitationExpired)
		pass(time.Second)
		_, err = trust.Join(t.Context(), "", cfg)
		require.ErrorIs(t, err, trust.ErrNoSession)
		require.Len(t, first.svc.Invitations(), 1)
		_, err = first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03", Addresses: []string{firstAddr}})
		require.NoError(t, err)
		require.Len(t, first.svc.Invitations(), 1, "the other one is forgotten")
		_, err = trust.Join(t.Context(), "", cfg)
		require.ErrorIs(t, err, trust.ErrRefused, "like one that never was")
		require.ErrorContains(t, err, "not known there")
	})
}

// TestRotationMakesInvitationsVoid: an open invitation does not hold up a rotation, after which nobody joins with it, also
// not who does not look at the fingerprint.
func TestRotationMakesInvitationsVoid(t *testing.T) {
	log := new(securityLog)
	first := newMachine(t, "micro01").serve(trust.Config{Drain: time.Millisecond, Logger: log.logger()})
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	inv, used := first.invite("micro02"), first.invite("micro03")
	third := newMachine(t, "micro03")
	_, err := third.accept(used)
	require.NoError(t, err)
	require.NoError(t, first.svc.Rotate(t.Context()))
	require.Equal(t, trust.InvitationVoid, first.status(inv.ID).State)
	require.Contains(t, lazily(log).String(), "an invitation is void")
	require.Equal(t, trust.InvitationUsed, first.status(used.ID).State)
	second := newMachine(t, "micro02")
	_, err = second.accept(inv)
	require.ErrorAs(t, err, new(*trust.FingerprintError))
	require.ErrorContains(t, err, "a new invitation is needed")
	_, reply := second.presents(inv, first, "micro02")
	require.Equal(t, "invitation-void", reply["code"])
	require.Len(t, log.events(t, "authn_token_reuse"), 1)
	_, err = second.accept(first.invite("micro02"))
	require.NoError(t, err)
}

// TestRotationWaitsForWhoCameByInvitation: the certificate stays as long as a joiner is bound to it that has not heard that it
// is a member. While a rotation is announced, no invitation is made that would be void in a moment.
func TestRotationWaitsForWhoCameByInvitation(t *testing.T) {
	first := newMachine(t, "micro01").serve(trust.Config{Drain: time.Millisecond})
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	inv, before := first.invite("micro02"), first.store.Identity().KeyID()
	second := newMachine(t, "micro02")
	j, reply := second.presents(inv, first, "micro02")
	reply = j.outcomeOf(reply)
	require.Equal(t, "approved", reply["state"])
	rotated := make(chan error, 1)
	go func() { rotated <- first.svc.Rotate(t.Context()) }()
	require.Eventually(t, func() bool { return first.store.Rotation() == certstore.RotationAnnounced }, time.Minute, time.Millisecond)
	_, err := first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03"})
	require.ErrorIs(t, err, trust.ErrRotating)
	require.Equal(t, "joined", j.call(j.doneMessage(second, reply))["state"], "under the certificate that it saw")
	require.NoError(t, <-rotated)
	require.NotEqual(t, before, first.store.Identity().KeyID())
	require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
}

// TestInvitedWithAnotherIntent: the machine that is bound may change its mind until it is a member.
func TestInvitedWithAnotherIntent(t *testing.T) {
	disk := newSick()
	first := light(t, "micro01", disk).serve(generous())
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	inv, second := first.invite("micro02"), newMachine(t, "micro02")
	disk.sick.Store(true)
	_, err := second.accept(inv)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.Equal(t, trust.InvitationBound, first.status(inv.ID).State)
	disk.sick.Store(false)
	_, err = newMachine(t, "micro02").accept(inv)
	require.ErrorIs(t, err, session.ErrInvitationUsed, "nobody else")
	cfg := trust.JoinConfig{Store: second.store, Invitation: inv, Attributes: map[string]string{"rack": "7"}}
	_, err = trust.Join(t.Context(), "", cfg)
	require.NoError(t, err)
	require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
	cfg.Attributes = map[string]string{"rack": "8"}
	_, err = trust.Join(t.Context(), "", cfg)
	require.ErrorIs(t, err, session.ErrInvitationUsed, "it is a member, and can say so as one")
	require.ErrorIs(t, first.svc.RevokeInvitation(t.Context(), inv.ID), session.ErrInvitationUsed)

	require.NoError(t, first.svc.RevokeInvitation(t.Context(), bindOnly(t, first, disk)))
}

// bindOnly has a machine bound to an invitation that it cannot be admitted by, and returns the id.
func bindOnly(t *testing.T, first *machine, disk *sickBackend) invitation.ID {
	inv, m := first.invite("micro05"), newMachine(t, "micro05")
	disk.sick.Store(true)
	defer disk.sick.Store(false)
	_, err := m.accept(inv)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.NoError(t, first.svc.RevokeInvitation(t.Context(), inv.ID), "it is no member yet")
	disk.sick.Store(false)
	_, err = m.accept(inv)
	require.ErrorIs(t, err, session.ErrInvitationRevoked)
	return inv.ID
}
