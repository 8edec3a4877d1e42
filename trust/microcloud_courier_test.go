package trust_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// await reads a session's events until there is one of that kind.
func await(t *testing.T, s *session.Session, kind session.EventKind) session.Joiner {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ev := range s.Events(ctx) {
		if ev.Kind == kind {
			return ev.Joiner
		}
	}
	require.Fail(t, "it did not happen", "%v", kind)
	return session.Joiner{}
}

// busy has the joiner's server answer with a status for as long as a test takes.
func (j *olderJoiner) busy(status int) {
	for range cap(j.status) {
		j.status <- status
	}
}

// next returns the next request that the joiner's server gets.
func (j *olderJoiner) next() received {
	j.t.Helper()
	select {
	case r := <-j.got:
		return r
	case <-time.After(time.Minute):
		require.Fail(j.t, "nothing came")
		return received{}
	}
}

// stopped requires that the next request is a stop by the machine, and returns the reason.
func (j *olderJoiner) stopped(by *machine) string {
	j.t.Helper()
	r := j.next()
	require.Equal(j.t, "PUT /1.0/session/stop", r.method+" "+r.path)
	require.Equal(j.t, by.store.Identity().Fingerprint(), certstore.FingerprintOf(r.peer.PeerCertificates[0]))
	reason, err := microcloudwire.ParseStop(r.body)
	require.NoError(j.t, err)
	return reason
}

// TestMicroCloudApprovalProvesTheKey: whoever claims a certificate and cannot be reached with it is not admitted, and the person
// may decide again.
func TestMicroCloudApprovalProvesTheKey(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	j := newOlderJoiner(t, "micro02")
	elsewhere := newOlderJoiner(t, "micro03")
	for reason, address := range map[string]string{
		"another certificate": elsewhere.addr, "this machine": first.addr, "nobody": lantest.FreeAddress(t),
	} {
		claim := *j
		var err error
		claim.id, err = certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro04", Algorithm: certstore.Ed25519})
		require.NoError(t, err)
		claim.addr = address
		require.Equal(t, http.StatusOK, claim.join(first).status)
		offer := s.Joiners()[len(s.Joiners())-1]
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err = s.Approve(ctx, offer.ID)
		cancel()
		require.ErrorIs(t, err, session.ErrAdmission, reason)
		now, _ := s.Lookup(offer.ID)
		require.Equal(t, session.StateOffered, now.State, reason)
		require.Contains(t, now.Reason, address, reason)
		require.Equal(t, 1, first.store.Snapshot().Len(), reason)
		require.NoError(t, s.Deny(offer.ID, "not it"))
	}
	require.Empty(t, elsewhere.got, "nothing is sent to another certificate")

	require.Equal(t, http.StatusOK, j.join(first).status)
	require.NoError(t, s.Approve(t.Context(), s.Joiners()[len(s.Joiners())-1].ID))
	require.Equal(t, "POST", j.next().method)
}

// TestMicroCloudConfirmationIsRetried until the joiner takes it.
func TestMicroCloudConfirmationIsRetried(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{MaxJoiners: 1})
	j := newOlderJoiner(t, "micro02")
	j.status <- http.StatusInternalServerError
	j.status <- http.StatusForbidden
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID))
	a, b, c := j.next(), j.next(), j.next()
	require.Equal(t, a.authorization, b.authorization, "one derivation")
	require.Equal(t, a.body, c.body)
	await(t, s, session.EventJoined)
	<-s.Ended()
	require.ErrorIs(t, s.Cause(), session.ErrLimitReached)
	require.NoError(t, first.svc.Drain(t.Context()))
}

// TestMicroCloudPolicy: what a policy accepts is admitted after the joiner has had its answer.
func TestMicroCloudPolicy(t *testing.T) {
	first := newMachine(t, "micro01").serve(older())
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	services := map[string]string{"LXD": "6.9"}
	s := first.open(session.Config{Services: services})
	openOlder(t, first, s)
	j := newOlderJoiner(t, "micro02")
	j.services = services
	require.Equal(t, http.StatusOK, j.join(first).status)
	in, err := microcloudwire.ParseIntent(j.next().body)
	require.NoError(t, err)
	require.Equal(t, services, in.Services, "this machine's are those that the session requires")
	await(t, s, session.EventJoined)
}

// TestMicroCloudEndsAreTold to every joiner of this kind that waits.
func TestMicroCloudEndsAreTold(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	denied, waiting, leaving := newOlderJoiner(t, "micro02"), newOlderJoiner(t, "micro03"), newOlderJoiner(t, "micro04")
	for _, j := range []*olderJoiner{denied, waiting, leaving} {
		require.Equal(t, http.StatusOK, j.join(first).status)
	}
	require.NoError(t, s.Deny(offered(t, s).ID, "not this one"))
	require.Equal(t, "denied: not this one", denied.stopped(first))
	require.Equal(t, http.StatusOK, leaving.stop(first, "no\nmore").status)
	left := await(t, s, session.EventFailed)
	require.ErrorIs(t, left.Cause, session.ErrAborted)
	require.Equal(t, "micro04", left.Offer.Intent.Name)
	require.NotContains(t, left.Reason, "\n")
	require.Eventually(t, func() bool { // its courier is about to go
		return leaving.stop(first, "again").status == http.StatusForbidden
	}, 10*time.Second, time.Millisecond, "it has left")

	s.Close(&session.StoppedError{Reason: "lunch"})
	require.NoError(t, first.svc.Drain(t.Context()))
	require.Equal(t, "stopped: lunch", waiting.stopped(first))
	require.Empty(t, denied.got)
	require.Empty(t, leaving.got, "it knows")
}

// TestMicroCloudStopIsTheJoiners: nobody else's certificate stops anything, and neither does none.
func TestMicroCloudStopIsTheJoiners(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	j, other := newOlderJoiner(t, "micro02"), newOlderJoiner(t, "micro03")
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.Equal(t, http.StatusForbidden, other.stop(first, "over").status)
	require.Equal(t, http.StatusForbidden, olderCall(t, first.addr, nil, http.MethodPut, microcloudwire.StopPath, "", []byte(`{"reason":"over"}`)).status)
	for _, body := range []string{``, `{}`, `{"reason":7}`, `{"reason":"a","reason":"b"}`, `[]`} {
		require.Equal(t, http.StatusBadRequest, olderCall(t, first.addr, j.id, http.MethodPut, microcloudwire.StopPath, "", []byte(body)).status, body)
	}
	require.Equal(t, map[string]session.State{"micro02": session.StateOffered}, states(s))

	// after the admission the joiner is a member, and its stop is still for the session
	j.busy(http.StatusInternalServerError)
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID))
	j.next()
	require.Equal(t, http.StatusOK, j.stop(first, "changed my mind").status)
	away := await(t, s, session.EventAway)
	require.ErrorIs(t, away.Cause, session.ErrAborted)
}

// TestMicroCloudIsAdmittedOnce: a joiner that was admitted and never confirmed comes again, to the next session.
func TestMicroCloudIsAdmittedOnce(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{Grace: time.Second})
	j := newOlderJoiner(t, "micro02")
	j.busy(http.StatusInternalServerError)
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID))
	j.next()
	s.Close(nil)
	<-s.Ended()
	require.NoError(t, first.svc.Drain(t.Context()))
	for len(j.status)+len(j.got) > 0 {
		select {
		case <-j.status:
		case <-j.got:
		}
	}
	again := first.openAsking(session.Config{})
	openOlder(t, first, again)
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.Equal(t, "POST", j.next().method, "it is confirmed without being asked about")
	await(t, again, session.EventJoined)

	member := *j // the same machine as a member, with another intent
	member.addr = lantest.FreeAddress(t)
	reply := member.join(first)
	require.Equal(t, http.StatusBadRequest, reply.status)
	require.Contains(t, reply.text, "member")
}

// TestMicroCloudJoinerThatHangs holds up nobody: neither the others nor the end.
func TestMicroCloudJoinerThatHangs(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	j, other := newOlderJoiner(t, "micro02"), newOlderJoiner(t, "micro03")
	j.addr = ln.Addr().String() // where connections are taken, and nothing is said
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.Equal(t, http.StatusOK, other.join(first).status)
	ids := map[string]session.OfferID{}
	for _, joiner := range s.Joiners() {
		ids[joiner.Offer.Intent.Name] = joiner.ID
	}
	hung := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { hung <- s.Approve(ctx, ids["micro02"]) }()
	called, err := ln.Accept()
	require.NoError(t, err)
	defer called.Close()
	require.NoError(t, s.Approve(t.Context(), ids["micro03"]))
	await(t, s, session.EventJoined)
	cancel()
	require.ErrorIs(t, <-hung, session.ErrAdmission)
}

// TestMicroCloudJoinerLeavesBeforeItIsAdmitted: who stops while it is called is not admitted, and nothing waits for it. Its time is not
// real, for nobody is called for long.
func TestMicroCloudJoinerLeavesBeforeItIsAdmitted(t *testing.T) {
	olderKey() // once in the process, and in real time
	synctest.Test(t, func(t *testing.T) {
		afterwards(t)
		n := newMemoryNet()
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(n.listen(), older(), nil)
		first.store.DialWith(n.dial)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.openAsking(session.Config{})
		openOlder(t, first, s)
		ln, j := n.listen(), newOlderJoinerOn(t, "micro02", n.listen(), n.dial)
		j.addr = ln.Addr().String()
		require.Equal(t, http.StatusOK, j.join(first).status)
		approved := make(chan error, 1)
		go func() { approved <- s.Approve(t.Context(), s.Joiners()[0].ID) }()
		called, err := ln.Accept()
		require.NoError(t, err)
		defer called.Close()
		require.Equal(t, http.StatusOK, j.stop(first, "changed my mind").status)
		require.NoError(t, first.svc.Drain(t.Context()), "nobody serves it any more")
		_ = tls.Server(called, &tls.Config{Certificates: []tls.Certificate{j.id.TLSCertificate()}}).Handshake()
		require.ErrorIs(t, <-approved, session.ErrAborted)
		require.Equal(t, map[string]session.State{"micro02": session.StateFailed}, states(s))
		require.Equal(t, 1, first.store.Snapshot().Len())
	})
}

// TestMicroCloudJoinerThatIsBusyForEver is given up with the session.
func TestMicroCloudJoinerThatIsBusyForEver(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{Grace: time.Second})
	j := newOlderJoiner(t, "micro02")
	j.busy(http.StatusServiceUnavailable)
	require.Equal(t, http.StatusOK, j.join(first).status)
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID))
	j.next()
	s.Close(nil)
	<-s.Ended()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, first.svc.Drain(ctx))
}

// TestMicroCloudJoinsWhileTheNextSessionIsOpen: whoever was admitted in the former one has joined by it when it comes as a member.
func TestMicroCloudJoinsWhileTheNextSessionIsOpen(t *testing.T) {
	first, s, m := olderFounder(t, older(), session.Config{})
	confirmed, compared := make(chan struct{}), make(chan struct{})
	j := startMicroCloudJoin(t, joiningMachine(t, "micro02"), first.addr, trust.MicroCloudJoinConfig{
		Passphrase: m.Passphrase(),
		Verify:     func(context.Context, trust.Initiator) error { close(confirmed); <-compared; return nil },
	})
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID))
	<-confirmed
	s.Close(nil)
	first.openAsking(session.Config{})
	close(compared)
	_, err := j.end()
	require.NoError(t, err)
	await(t, s, session.EventJoined)
}
