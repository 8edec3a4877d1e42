package trust_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestSecretsAreGone: a while after a session has ended, nothing in the process holds its passphrase any more, in any form, nor
// the keys and the scalars of its handshakes: one that succeeded, one whose proof was wrong, and one that was abandoned. The service,
// its session and the joiner's store are still there.
func TestSecretsAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &bladed{newPipes(), &blade{}}
		first := light(t, "micro01", certstore.NewMemoryBackend()).serveOn(ln, generous(), nil)
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.open(session.Config{MaxJoiners: 20})
		secret := disguised(s.Passphrase().Reveal())
		joiner := light(t, "micro02", certstore.NewMemoryBackend())
		conversation := joinAndForget(t, joiner, first, s, ln)
		alive := first.svc.WatchHandshakes(abandoned(t, first, ln))
		require.Equal(t, 2, alive(), "the watch sees those that are proved or may be")
		found, _ := onHeap(t, secret)
		require.Positive(t, found, "the search finds what an open session holds")

		s.Close(nil)
		<-s.Ended()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.True(t, s.Passphrase().IsZero())
		found, objects := onHeap(t, secret)
		require.Zero(t, found, "objects of %d that hold the passphrase", objects)
		require.Zero(t, alive(), "handshakes that are referenced, with their keys and scalars")
		require.Nil(t, conversation.Value(), "the joiner's side of the conversation is referenced, with its keys")
		runtime.KeepAlive(first)
		runtime.KeepAlive(joiner)
	})
}

// TestSecretsThatAreKeptAreFound: the search is one that can fail.
func TestSecretsThatAreKeptAreFound(t *testing.T) {
	p, err := hmacauth.GeneratePassphrase(0)
	require.NoError(t, err)
	secret := disguised(p.Reveal())
	kept := p.Secret()
	found, _ := onHeap(t, secret)
	require.GreaterOrEqual(t, found, 2, "the text, and its encoding for the key exchange")
	runtime.KeepAlive(p)
	runtime.KeepAlive(kept)
}

// joinAndForget has a machine prove a wrong passphrase and then the right one, and returns what tells whether the joiner's side of
// the conversation is referenced: something that its way to dial refers to.
func joinAndForget(t *testing.T, m, first *machine, s *session.Session, ln *bladed) weak.Pointer[net.Dialer] {
	t.Helper()
	seen := &net.Dialer{Timeout: time.Hour}
	cfg := m.joinConfig(s, first)
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if seen.Timeout == 0 {
			return nil, errGone
		}
		return ln.dial(ctx, network, address)
	}
	right := cfg.Passphrase
	cfg.Passphrase = wrong(t)
	_, err := trust.Join(t.Context(), first.addr, cfg)
	require.ErrorIs(t, err, trust.ErrRefused)
	cfg.Passphrase = right
	_, err = trust.Join(t.Context(), first.addr, cfg)
	require.NoError(t, err)
	return weak.Make(seen)
}

// abandoned begins a handshake as a stranger and goes away. It returns its id.
func abandoned(t *testing.T, first *machine, ln *bladed) [16]byte {
	t.Helper()
	id := light(t, "stranger", certstore.NewMemoryBackend()).store.Identity()
	raw, err := ln.dial(t.Context(), "", "")
	require.NoError(t, err)
	c := &rawConn{t: t, conn: tls.Client(raw, strangerTLS(id, trust.Protocol))}
	defer c.conn.Close()
	c.in = bufio.NewReader(io.TeeReader(c.conn, &c.read))
	j := &rawJoiner{rawConn: c, id: id, secret: wrong(t).Secret()}
	j.public.Initiator, j.public.Joiner = first.store.Identity().Fingerprint(), id.Fingerprint()
	return j.begin().public.ID
}
