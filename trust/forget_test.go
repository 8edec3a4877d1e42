package trust_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// pipedJoiner speaks the joiner's side over a pipe.
func pipedJoiner(t *testing.T, m, first *machine, ln *bladed, p hmacauth.Passphrase) *rawJoiner {
	t.Helper()
	id := m.store.Identity()
	raw, err := ln.dial(t.Context(), "", "")
	require.NoError(t, err)
	c := &rawConn{t: t, conn: tls.Client(raw, strangerTLS(id, trust.Protocol))}
	t.Cleanup(func() { c.conn.Close() })
	c.in = bufio.NewReader(io.TeeReader(c.conn, &c.read))
	j := &rawJoiner{rawConn: c, id: id, secret: p.Secret()}
	j.public.Initiator, j.public.Joiner = first.store.Identity().Fingerprint(), id.Fingerprint()
	return j
}

// TestOneSessionForgetsNothingOfAnother: a joiner whose last reply was lost gets it again, when an earlier session's keys were forgotten
// meanwhile.
func TestOneSessionForgetsNothingOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &bladed{newPipes(), &blade{}}
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(ln, generous(), nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.open(session.Config{})
		s.Close(nil)
		<-s.Ended()
		time.Sleep(59 * time.Second)

		second := light(t, "micro02", certstore.NewMemoryBackend())
		s = first.open(session.Config{})
		j := pipedJoiner(t, second, first, ln, s.Passphrase())
		done := j.join(second)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		again := pipedJoiner(t, second, first, ln, s.Passphrase())
		reply := again.send(done.messages[len(done.messages)-1])
		require.Equal(t, http.StatusOK, reply.status)
		require.Equal(t, done.replies[len(done.replies)-1].body, reply.body)
		s.Close(nil)
	})
}

// TestWhoNeverAsksIsForgotten: a joiner that was turned away and does not come back for the answer is served until the grace period is
// over, however long before the session ended, and then its keys go as well.
func TestWhoNeverAsksIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &bladed{newPipes(), &blade{}}
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(ln, generous(), nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.openAsking(session.Config{Grace: 5 * time.Minute})
		j := pipedJoiner(t, light(t, "micro02", certstore.NewMemoryBackend()), first, ln, s.Passphrase())
		j.prove("micro02")
		s.Close(nil)
		<-s.Ended()
		alive := first.svc.WatchHandshakes()
		time.Sleep(4 * time.Minute)
		_, _ = onHeap(t, disguised("collected"))
		require.Equal(t, 1, alive(), "it may ask still")
		time.Sleep(4 * time.Minute)
		_, _ = onHeap(t, disguised("collected"))
		require.Zero(t, alive())
	})
}
