package trust_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// invite makes an invitation that lives for an hour.
func (m *machine) invite(name string) invitation.Invitation {
	m.t.Helper()
	inv, err := m.svc.Invite(m.t.Context(), trust.InviteConfig{Name: name, Life: time.Hour})
	require.NoError(m.t, err)
	return inv
}

// carried is what the other machine reads: the string, and nothing else.
func carried(t *testing.T, inv invitation.Invitation) invitation.Invitation {
	t.Helper()
	back, err := invitation.Parse(inv.Reveal())
	require.NoError(t, err)
	return back
}

// accept joins with an invitation.
func (m *machine) accept(inv invitation.Invitation) (trust.Result, error) {
	cfg := trust.JoinConfig{Store: m.store, Invitation: inv}
	if m.addr != "" {
		cfg.Addresses = []string{m.addr}
	}
	return trust.Join(m.t.Context(), "", cfg)
}

// status returns what the machine says of an invitation.
func (m *machine) status(id invitation.ID) trust.InvitationStatus {
	m.t.Helper()
	for _, st := range m.svc.Invitations() {
		if st.ID == id {
			return st
		}
	}
	require.Fail(m.t, "the invitation is not listed")
	return trust.InvitationStatus{}
}

func TestInviteRefuses(t *testing.T) {
	first := target(t)
	many := make([]string, invitation.MaxAddresses+1)
	for i := range many {
		many[i] = fmt.Sprintf("10.0.0.1:%d", 1000+i)
	}
	rows := map[string]struct {
		cfg trust.InviteConfig
		err error
	}{
		"name":              {trust.InviteConfig{}, trust.ErrConfig},
		"already in use by": {trust.InviteConfig{Name: "micro01"}, certstore.ErrNameTaken},
		"Life must":         {trust.InviteConfig{Name: "micro02", Life: -1}, trust.ErrConfig},
		"at most":           {trust.InviteConfig{Name: "micro02", Life: trust.MaxInvitationLife + 1}, trust.ErrConfig},
		"addresses[0]":      {trust.InviteConfig{Name: "micro02", Addresses: []string{"10.0.0.1"}}, trust.ErrConfig},
		"must be 1 to":      {trust.InviteConfig{Name: "micro02", Addresses: many}, trust.ErrConfig},
		"services":          {trust.InviteConfig{Name: "micro02", Services: map[string]string{"": "1"}}, trust.ErrConfig},
	}
	for field, row := range rows {
		_, err := first.svc.Invite(t.Context(), row.cfg)
		require.ErrorIs(t, err, row.err, field)
		if row.err == trust.ErrConfig {
			require.ErrorContains(t, err, field)
		}
	}
	require.Empty(t, first.svc.Invitations())
	require.ErrorIs(t, first.svc.RevokeInvitation(t.Context(), invitation.ID{1}), trust.ErrUnknownInvitation)

	alone := newMachine(t, "alone").serve(trust.Config{})
	_, err := alone.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02"})
	require.ErrorIs(t, err, trust.ErrNoCluster)
	require.NoError(t, alone.store.Bootstrap(t.Context()))
	_, err = alone.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02"})
	require.ErrorContains(t, err, "published none")
	inv, err := alone.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02", Addresses: []string{alone.addr}})
	require.NoError(t, err)
	require.Equal(t, []string{alone.addr}, inv.Addresses)
	require.WithinDuration(t, time.Now().Add(trust.DefaultInvitationLife), inv.Expires, time.Minute)
}

// TestInviteNeedsTheRightToAdmit: a member without it makes no invitation that it could not keep.
func TestInviteNeedsTheRightToAdmit(t *testing.T) {
	first, second := target(t), newMachine(t, "micro02")
	_, err := first.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: second.store.Identity().Certificate(), Name: "micro02", Rights: certstore.NoRights})
	require.NoError(t, err)
	cluster, _ := first.store.Cluster()
	_, err = second.store.Adopt(t.Context(), certstore.AdoptRequest{
		Cluster: cluster, Digest: first.store.Snapshot().Digest(), Statements: first.store.Statements(), Addresses: []string{"10.0.0.2:9443"},
	})
	require.NoError(t, err)
	second.serve(trust.Config{})
	_, err = second.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03"})
	require.ErrorIs(t, err, certstore.ErrNotAllowed)
}

func TestJoinByInvitation(t *testing.T) {
	first, second := target(t), newMachine(t, "micro02")
	inv := first.invite("micro02")
	require.Equal(t, trust.InvitationOpen, first.status(inv.ID).State)
	require.Equal(t, []string{first.addr}, inv.Addresses)
	res, err := second.accept(carried(t, inv))
	require.NoError(t, err)
	require.Equal(t, "micro01", res.Initiator.Name)
	same(t, first, second)
	st := first.status(inv.ID)
	require.Equal(t, trust.InvitationUsed, st.State)
	require.Equal(t, second.store.Identity().Fingerprint(), st.Bound)
	var compared []string
	for _, s := range first.store.Statements() {
		if a, ok := s.Admit(); ok {
			compared = append(compared, a.Compared)
		}
	}
	require.Contains(t, compared, string(session.ComparedByInvitation))

	_, err = second.accept(inv)
	require.NoError(t, err, "the machine itself may come back")
	same(t, first, second)
	require.ErrorIs(t, first.svc.RevokeInvitation(t.Context(), inv.ID), session.ErrInvitationUsed)
	require.Equal(t, trust.InvitationUsed, first.status(inv.ID).State)
}

// TestJoinConfigWithInvitation: an invitation stands alone, and is refused by whom it is not for before anything is sent.
func TestJoinConfigWithInvitation(t *testing.T) {
	first, second := target(t), newMachine(t, "micro02")
	inv, other := first.invite("micro02"), first.invite("micro03")
	p := passphrase(t, "a passphrase beside it")
	good := trust.JoinConfig{Store: second.store, Invitation: inv}
	rows := map[string]struct {
		change func(*trust.JoinConfig)
		err    error
	}{
		"Passphrase and Invitation": {func(c *trust.JoinConfig) { c.Passphrase = p }, trust.ErrConfig},
		"Fingerprint, Verify":       {func(c *trust.JoinConfig) { c.Fingerprint = inv.Fingerprint }, trust.ErrConfig},
		"InsecureSkipFingerprint":   {func(c *trust.JoinConfig) { c.InsecureSkipFingerprint = true }, trust.ErrConfig},
		"Passphrase or Invitation":  {func(c *trust.JoinConfig) { c.Invitation = invitation.Invitation{Name: "micro02"} }, trust.ErrConfig},
		`for "micro03"`:             {func(c *trust.JoinConfig) { c.Invitation = other }, session.ErrUnwantedName},
		"Store":                     {func(c *trust.JoinConfig) { c.Store = nil }, trust.ErrConfig},
	}
	for text, row := range rows {
		cfg := good
		row.change(&cfg)
		_, err := trust.Join(t.Context(), "", cfg)
		require.ErrorIs(t, err, row.err, text)
		require.ErrorContains(t, err, text)
	}
	elsewhere := newMachine(t, "micro02").serve(trust.Config{})
	require.NoError(t, elsewhere.store.Bootstrap(t.Context(), elsewhere.addr))
	_, err := elsewhere.accept(inv)
	require.ErrorIs(t, err, certstore.ErrOtherCluster)
	require.Equal(t, trust.InvitationOpen, first.status(inv.ID).State, "nobody was bound by that")
}

// TestAddressesAreTriedInOrder: the initiator is found behind an address where nobody is, one where somebody else is, and one
// where no TLS is.
func TestAddressesAreTriedInOrder(t *testing.T) {
	first, other, second := target(t), newMachine(t, "other").serve(trust.Config{}), newMachine(t, "micro02")
	require.NoError(t, other.store.Bootstrap(t.Context(), other.addr))
	other.open(session.Config{})
	inv, err := first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02", Addresses: []string{"127.0.0.1:1", other.addr, first.addr}})
	require.NoError(t, err)
	var retries []error
	cfg := trust.JoinConfig{Store: second.store, Invitation: inv, Progress: func(p trust.Progress) {
		if p.Retry != nil {
			retries = append(retries, p.Retry)
		}
	}}
	res, err := trust.Join(t.Context(), "", cfg)
	require.NoError(t, err)
	require.Equal(t, first.addr, res.Initiator.Address)
	require.Len(t, retries, 2)
	require.ErrorIs(t, retries[0], trust.ErrUnreachable)
	require.ErrorAs(t, retries[1], new(*trust.FingerprintError))

	third := newMachine(t, "micro03")
	inv, err = first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03", Addresses: []string{"127.0.0.1:1", other.addr}})
	require.NoError(t, err)
	_, err = third.accept(inv)
	require.ErrorIs(t, err, trust.ErrUnreachable, "all that went wrong is said")
	require.ErrorAs(t, err, new(*trust.FingerprintError))
	require.ErrorContains(t, err, "a new invitation is needed")
	_, err = trust.Join(t.Context(), first.addr, trust.JoinConfig{Store: third.store, Invitation: inv})
	require.NoError(t, err, "an address that is given is used")
}

// TestInvitationsBesideASession: each goes its own way.
func TestInvitationsBesideASession(t *testing.T) {
	first := target(t)
	by, session1 := first.invite("micro02"), first.openAsking(session.Config{})
	another := first.invite("micro03")
	_, err := newMachine(t, "micro03").accept(another)
	require.NoError(t, err)
	require.Empty(t, session1.Joiners(), "nobody is asked about it")
	late := newMachine(t, "late")
	cfg := late.joinConfig(session1, first)
	session1.Close(nil)
	_, err = newMachine(t, "micro02").accept(by)
	require.NoError(t, err, "the end of the session is not that of the invitations")

	// Without a session, who has a passphrase hears that none is open, and not that it is wrong.
	<-session1.Ended()
	_, err = trust.Join(t.Context(), first.addr, cfg)
	require.ErrorIs(t, err, trust.ErrNoSession)
}

// TestSelectorsTellNothing: whoever guesses ids sees no difference between one that is known and one that is not.
func TestSelectorsTellNothing(t *testing.T) {
	first, second := target(t), newMachine(t, "micro02")
	inv := first.invite("micro02")
	unknown := strings.Repeat("0", 32)
	seen := map[string]map[string]bool{}
	for range 3 {
		for _, selector := range []string{inv.Selector(), unknown, strings.ToUpper(inv.Selector()), "x"} {
			j := raw(t, second, first, wrong(t))
			m := j.helloMessage(selector)
			reply := j.send(m)
			j.derive(m.body, reply)
			if seen[selector] == nil {
				seen[selector] = map[string]bool{}
			}
			seen[selector][fmt.Sprint(decode(t, reply.body)["session"], len(reply.body))] = true
			j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")), selector)
		}
	}
	require.Len(t, seen, 4)
	for selector, ids := range seen {
		require.Len(t, ids, 1, "the id of a session, and the length of the reply: %s", selector)
	}
	j := raw(t, second, first, wrong(t))
	j.refused(j.helloMessage(""), "there is no session")
	require.Equal(t, trust.InvitationOpen, first.status(inv.ID).State)
	_, err := second.accept(inv)
	require.NoError(t, err, "wrong proofs do it no harm")
}
