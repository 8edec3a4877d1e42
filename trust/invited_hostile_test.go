package trust_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// over fails unless nothing is left of a session, its timer included.
func over(t *testing.T, s *session.Session, about string) {
	t.Helper()
	select {
	case <-s.Ended():
	default:
		require.Fail(t, "a session is left", about)
	}
}

// TestProofsOfOneHolderDoNotPileUp: whoever has an invitation, used or not, can prove it for ever, and each proof has a session of its own. No
// more than the newest of a certificate is ever left.
func TestProofsOfOneHolderDoNotPileUp(t *testing.T) {
	first := target(t)
	used, open := first.invite("micro02"), first.invite("micro03")
	member, holder := newMachine(t, "micro02"), newMachine(t, "micro03")
	_, err := member.accept(used)
	require.NoError(t, err)
	before := first.svc.SessionOf(member.store.Identity().Fingerprint())
	for range 3 {
		j, reply := member.presents(used, first, "micro02")
		require.Equal(t, "approved", j.outcomeOf(reply)["state"])
		over(t, before, "a member that comes back again and again")
		before = first.svc.SessionOf(member.store.Identity().Fingerprint())
	}
	for range 3 {
		j := raw(t, holder, first, wrong(t))
		j.secret = open.Secret()
		hello := j.helloMessage(open.Selector())
		j.derive(hello.body, j.send(hello))
		require.Equal(t, "invalid", j.call(j.sign(hmacauth.EndpointJoin, []byte("{")))["code"])
		over(t, first.svc.SessionOf(holder.store.Identity().Fingerprint()), "a right proof of what is no intent")
	}
	require.Equal(t, trust.InvitationOpen, first.status(open.ID).State)
}

// TestHoldersOfAnInvitationOccupyNothing: an invitation whose name has gone to another machine can be proved with any number of
// certificates. None of them is owed anything, so that no rotation waits for them and no table is filled.
func TestHoldersOfAnInvitationOccupyNothing(t *testing.T) {
	first := target(t)
	inv, holder := first.invite("micro02"), newMachine(t, "micro02")
	s := first.open(session.Config{})
	_, err := trust.Join(t.Context(), first.addr, holder.joinConfig(s, first))
	require.NoError(t, err)
	s.Close(nil)
	require.Eventually(t, func() bool { return !first.svc.JoinersWait() }, 10*time.Second, time.Millisecond)
	for range 3 {
		thief := newMachine(t, "micro02")
		_, reply := thief.presents(inv, first, "micro02")
		require.Equal(t, "refused", reply["state"])
		require.Equal(t, "name-conflict", reply["code"])
		over(t, first.svc.SessionOf(thief.store.Identity().Fingerprint()), "refused")
	}
	require.False(t, first.svc.JoinersWait())
}

// TestTwoProofsAtOnceOfOneMachine: it came back while it was being admitted, with the same intent. It is a member, and told so.
func TestTwoProofsAtOnceOfOneMachine(t *testing.T) {
	first := target(t)
	inv, second := first.invite("micro02"), newMachine(t, "micro02")
	offer, err := session.NewOffer(second.store.Identity().Certificate(), session.Intent{Name: "micro02"})
	require.NoError(t, err)
	for range 2 { // the second waited until the first was done
		require.NoError(t, first.svc.AdmitInvited(t.Context(), inv.ID, offer))
	}
	other, err := session.NewOffer(second.store.Identity().Certificate(), session.Intent{Name: "micro02", Attributes: map[string]string{"rack": "7"}})
	require.NoError(t, err)
	require.ErrorIs(t, first.svc.AdmitInvited(t.Context(), inv.ID, other), session.ErrInvitationUsed)
	require.Equal(t, 2, first.store.Snapshot().Len())
}

// TestWhoMayNotAdmitBindsNobody: the invitation of a machine that was removed is proved, and nothing is written.
func TestWhoMayNotAdmitBindsNobody(t *testing.T) {
	first, second := target(t), newMachine(t, "micro02")
	_, err := second.accept(first.invite("micro02"))
	require.NoError(t, err)
	second.serve(generous())
	inv, err := second.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03", Addresses: []string{second.addr}})
	require.NoError(t, err)
	_, err = first.store.Remove(t.Context(), certstore.RemoveRequest{Key: second.store.Identity().KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)
	_, err = second.store.Merge(t.Context(), first.store.Statements())
	require.NoError(t, err)
	_, reply := newMachine(t, "micro03").presents(inv, second, "micro03")
	require.Equal(t, "refused", reply["state"])
	require.Equal(t, "admission-failed", reply["code"])
	require.Equal(t, trust.InvitationOpen, second.status(inv.ID).State)
}

// TestWhoPresentsWhatIsOverWaits: a proof of an invitation that is over is paced like a wrong one, so that it cannot flood the security log.
func TestWhoPresentsWhatIsOverWaits(t *testing.T) {
	log, cfg := new(securityLog), generous()
	cfg.Logger, cfg.Attempts = log.logger(), ratelimit.AttemptsConfig{FreePerSource: 2, BackOff: time.Hour, MaxBackOff: time.Hour}
	first := newMachine(t, "micro01").serve(cfg)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	used, inv := first.invite("micro02"), first.invite("micro03")
	second := newMachine(t, "micro02")
	_, err := second.accept(used)
	require.NoError(t, err)
	for range 3 { // which its own machine may do
		j, reply := second.presents(used, first, "micro02")
		require.Equal(t, "approved", j.outcomeOf(reply)["state"])
	}
	require.NoError(t, first.svc.RevokeInvitation(t.Context(), inv.ID))
	for range 2 {
		_, reply := newMachine(t, "micro03").presents(inv, first, "micro03")
		require.Equal(t, "invitation-revoked", reply["code"])
	}
	j := raw(t, newMachine(t, "micro03"), first, wrong(t))
	j.secret = inv.Secret()
	hello := j.helloMessage(inv.Selector())
	j.derive(hello.body, j.send(hello))
	require.Equal(t, http.StatusTooManyRequests, j.send(j.sign(hmacauth.EndpointJoin, intent("micro03"))).status)
	require.Len(t, log.events(t, "authn_token_reuse"), 2)
}

// TestNobodyIsAdmittedUnbound: while the notebook cannot be written, an invitation lets nobody in, and is not revoked either. Afterwards it
// lets in whoever comes first.
func TestNobodyIsAdmittedUnbound(t *testing.T) {
	dir := t.TempDir()
	first := kept(t, dir, "micro01", certstore.NewMemoryBackend()).serve(generous())
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	inv, early, late := first.invite("micro02"), newMachine(t, "micro02"), newMachine(t, "micro02")
	inTheWay := filepath.Join(dir, "notes.invitations.new")
	require.NoError(t, os.MkdirAll(filepath.Join(inTheWay, "full"), 0o700))
	_, err := early.accept(inv)
	require.ErrorIs(t, err, session.ErrAdmission)
	require.Error(t, first.svc.RevokeInvitation(t.Context(), inv.ID))
	_, err = first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro03"})
	require.ErrorContains(t, err, "could not be kept")
	require.Equal(t, 1, first.store.Snapshot().Len())
	require.Len(t, first.svc.Invitations(), 1)
	require.Equal(t, trust.InvitationOpen, first.status(inv.ID).State)

	require.NoError(t, os.RemoveAll(inTheWay))
	_, err = late.accept(inv)
	require.NoError(t, err)
	_, err = early.accept(inv)
	require.ErrorIs(t, err, session.ErrInvitationUsed)
}

// TestAnAddressThatHangsIsNotTheLast: an invitation names several addresses, and behind the first ones nobody ever says anything. The
// last one is reached before who waits loses patience.
func TestAnAddressThatHangsIsNotTheLast(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first, silent := n.founder(t, trust.Config{}), []string{"10.0.0.7:1", "10.0.0.8:1", "10.0.0.9:1"}
		inv, err := first.svc.Invite(t.Context(), trust.InviteConfig{Name: "micro02", Addresses: append(silent, firstAddr)})
		require.NoError(t, err)
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == firstAddr {
				return n.dial(ctx, network, address)
			}
			here, there := net.Pipe()
			t.Cleanup(func() { there.Close() })
			return here, nil
		}
		began := time.Now()
		_, err = trust.Join(t.Context(), "", trust.JoinConfig{Store: newMachine(t, "micro02").store, Invitation: inv, Dial: dial})
		require.NoError(t, err)
		require.Less(t, time.Since(began), 35*time.Second)
	})
}

// TestConnectionsOfWhoComesTooLateAreBounded: a right proof of an invitation that is over takes no connection out of the table of
// strangers', nor does anything that is signed after it.
func TestConnectionsOfWhoComesTooLateAreBounded(t *testing.T) {
	first := target(t)
	inv, open := first.invite("micro02"), first.invite("micro03")
	require.NoError(t, first.svc.RevokeInvitation(t.Context(), inv.ID))
	for n := range 3 {
		j, reply := newMachine(t, "micro02").presents(inv, first, "micro02")
		require.Equal(t, "invitation-revoked", reply["code"])
		require.Equal(t, "refused", j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["state"])
		require.Equal(t, n+1, first.svc.StrangersConnections())
	}
	j, reply := newMachine(t, "micro03").presents(open, first, "micro03")
	require.Equal(t, "approved", j.outcomeOf(reply)["state"])
	require.Equal(t, 3, first.svc.StrangersConnections())
}
