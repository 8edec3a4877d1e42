package trust

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/stretchr/testify/require"
)

// pair is two members whose exchanges need no network, and a third key that may admit without either of them.
type pair struct {
	a, b     *Service
	recovery ed25519.PrivateKey
	guest    *certstore.Identity
}

func newPair(t *testing.T) *pair {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	p := &pair{recovery: private, guest: newIdentity(t, "guest")}
	first, second := newIdentity(t, "micro01"), newIdentity(t, "micro02")
	a, b := newStore(t, first), newStore(t, second)
	require.NoError(t, a.BootstrapWith(t.Context(), certstore.BootstrapConfig{Addresses: []string{"127.0.0.1:1"}, Recovery: public}))
	_, err = a.Admit(t.Context(), certstore.AdmitRequest{Certificate: second.Certificate(), Name: "micro02"})
	require.NoError(t, err)
	cluster, _ := a.Cluster()
	profile, err := b.Adopt(t.Context(), certstore.AdoptRequest{
		Cluster: cluster, Digest: a.Snapshot().Digest(), Statements: a.Statements(), Addresses: []string{"127.0.0.1:2"},
	})
	require.NoError(t, err)
	_, err = a.Merge(t.Context(), []*certstore.Statement{profile})
	require.NoError(t, err)
	p.a, err = NewService(Config{Store: a})
	require.NoError(t, err)
	p.b, err = NewService(Config{Store: b})
	require.NoError(t, err)
	return p
}

func newIdentity(t *testing.T, name string) *certstore.Identity {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return id
}

func newStore(t *testing.T, id *certstore.Identity) *certstore.Store {
	t.Helper()
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	require.NoError(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

// admits returns statements numbered from..to-1, which no store has yet.
func (p *pair) admits(t *testing.T, from, to int) []*certstore.Statement {
	t.Helper()
	cluster, _ := p.a.store.Cluster()
	var out []*certstore.Statement
	for i := from; i < to; i++ {
		st, err := certstore.SignRecovery(p.recovery, cluster, certstore.AdmitRequest{Certificate: p.guest.Certificate(), Name: fmt.Sprintf("guest%05d", i)})
		require.NoError(t, err)
		out = append(out, st)
	}
	return out
}

func give(t *testing.T, to *Service, statements []*certstore.Statement) {
	t.Helper()
	added, err := to.store.Merge(t.Context(), statements)
	require.NoError(t, err)
	require.Equal(t, len(statements), added)
}

// wireTo carries requests to a handler as a member whose certificate was proved, and counts.
type wireTo struct {
	handler http.Handler
	as      *certstore.Identity
	rounds  int
	sent    int // bytes
	got     int
}

func (w *wireTo) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	in := httptest.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body))
	in.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, PeerCertificates: w.as.Chain()}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, in)
	w.rounds++
	w.sent += len(body)
	w.got += out.Body.Len()
	return out.Result(), nil
}

// exchange is one of a's with b.
func (p *pair) exchange(t *testing.T, news []*certstore.Statement) (*wireTo, exchanged) {
	t.Helper()
	w := &wireTo{handler: p.b.Handler(), as: p.a.store.Identity()}
	x, err := p.a.replica.reconcile(t.Context(), &http.Client{Transport: w}, "micro02", news)
	require.NoError(t, err)
	require.Equal(t, p.a.store.Snapshot().Digest(), p.b.store.Snapshot().Digest())
	require.Equal(t, p.b.store.Snapshot().Digest(), x.digest)
	return w, x
}

func TestNewsTakesOneRoundTrip(t *testing.T) {
	p := newPair(t)
	news := p.admits(t, 0, 1)
	give(t, p.a, news)
	w, _ := p.exchange(t, news)
	require.Equal(t, 1, w.rounds)
	require.Less(t, w.got, 100, "nothing but the digest comes back")
	w, _ = p.exchange(t, nil)
	require.Equal(t, 1, w.rounds)
	require.Less(t, w.sent, 200)
}

func TestOneStatementAmongThousands(t *testing.T) {
	// The ids of so many statements alone are 48 kB, and 64 kB in base64.
	const many = 1500
	p := newPair(t)
	all := p.admits(t, 0, many)
	give(t, p.a, all)
	give(t, p.b, all)
	one := p.admits(t, many, many+1)
	give(t, p.b, one)
	w, x := p.exchange(t, nil)
	require.Equal(t, 1, x.added)
	require.Equal(t, 2, w.rounds)
	t.Logf("one missing here: %d bytes sent, %d received", w.sent, w.got)
	require.Less(t, w.sent+w.got, 16_000)

	give(t, p.a, p.admits(t, many+1, many+2)) // not told as news
	w, x = p.exchange(t, nil)
	require.Zero(t, x.added)
	require.Equal(t, 3, w.rounds)
	t.Logf("one missing there: %d bytes sent, %d received", w.sent, w.got)
	require.Less(t, w.sent+w.got, 22_000)
}

func TestEverythingInBothDirections(t *testing.T) {
	p := newPair(t)
	give(t, p.a, p.admits(t, 0, 1200))
	give(t, p.b, p.admits(t, 1200, 2400))
	w, x := p.exchange(t, nil)
	require.Equal(t, 1200, x.added)
	require.LessOrEqual(t, w.rounds, 10)
	require.Len(t, p.a.store.Statements(), 2400+4)
}

func TestWhatDoesNotVerifyIsLeftOut(t *testing.T) {
	p := newPair(t)
	good, _ := p.admits(t, 0, 1)[0].MarshalBinary()
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	other := newPair(t)
	foreign, _ := other.admits(t, 0, 1)[0].MarshalBinary()
	here := p.b.replica.now()
	body, err := wire.EncodeJSON(exchangeRequest{Cluster: here.snapshot.Cluster().String(), Digest: here.digest(), Statements: [][]byte{bad, good, foreign, {}}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, exchangePath, bytes.NewReader(body))
	r.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, PeerCertificates: p.a.store.Identity().Chain()}
	out := httptest.NewRecorder()
	p.b.Handler().ServeHTTP(out, r)
	require.Equal(t, http.StatusOK, out.Code)
	require.Len(t, p.b.store.Statements(), 5, "the good one was taken")
	for _, st := range p.b.Status() {
		if st.Member.Name == "micro01" {
			require.Equal(t, 3, st.LeftOut)
			require.Equal(t, MemberBehind, st.State)
			return
		}
	}
	t.Fatal("no status of micro01")
}

// liarTransport answers exchanges as its function says.
type liarTransport func(exchangeRequest) (int, any)

func (l liarTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var req exchangeRequest
	if err := wire.DecodeJSON(body, &req); err != nil {
		return nil, err
	}
	status, answer := l(req)
	var out io.Reader
	switch answer := answer.(type) {
	case io.Reader:
		out = answer
	default:
		b, err := wire.EncodeJSON(answer)
		if err != nil {
			return nil, err
		}
		out = bytes.NewReader(b)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(out), Header: http.Header{}}, nil
}

// endless is a body without end.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) { e.read += len(b); return len(b), nil }

func TestLyingMember(t *testing.T) {
	p := newPair(t)
	here := p.a.replica.now()
	lie := strings.Repeat("ab", 32)
	zeros := make([]byte, buckets*sumSize)
	var everything []byte
	for _, st := range here.statements {
		everything = appendID(everything, st.ID())
	}
	encoded := encodeStatements(here.statements)
	big := &endless{}
	rows := map[string]struct {
		answer liarTransport
		rounds int // at most
		is     error
	}{
		"another digest, no sums": {func(exchangeRequest) (int, any) { return 200, exchangeReply{Digest: lie} }, 1, errMeaning},
		"another digest over equal sums": {func(exchangeRequest) (int, any) {
			return 200, exchangeReply{Digest: lie, Sums: here.sums()}
		}, 1, errMeaning},
		"differs for ever": {func(exchangeRequest) (int, any) { return 200, exchangeReply{Digest: lie, Sums: zeros} }, 2, errApart},
		"wants the same for ever": {func(exchangeRequest) (int, any) {
			return 200, exchangeReply{Digest: lie, Sums: zeros, Want: everything}
		}, 4, errApart},
		"sends what is known for ever": {func(exchangeRequest) (int, any) {
			return 200, exchangeReply{Digest: lie, Sums: zeros, Statements: encoded}
		}, 3, errApart},
		"sums too short": {func(exchangeRequest) (int, any) { return 200, exchangeReply{Digest: lie, Sums: zeros[1:]} }, 1, errMeaning},
		"half an id":     {func(exchangeRequest) (int, any) { return 200, exchangeReply{Digest: lie, Want: everything[1:]} }, 1, errMeaning},
		"wants too much": {func(exchangeRequest) (int, any) {
			return 200, exchangeReply{Digest: lie, Want: make([]byte, 1001*idSize)}
		}, 1, errMeaning},
		"too many statements": {func(exchangeRequest) (int, any) {
			return 200, exchangeReply{Digest: lie, Statements: slices.Repeat([][]byte{{1}}, 1001)}
		}, 1, errMeaning},
		"digest that is none": {func(exchangeRequest) (int, any) { return 200, exchangeReply{Digest: "x"} }, 1, errMeaning},
		"garbage":             {func(exchangeRequest) (int, any) { return 200, strings.NewReader("}{") }, 1, wire.ErrMalformed},
		"breaks off":          {func(exchangeRequest) (int, any) { return 200, io.MultiReader(strings.NewReader("{"), broken{}) }, 1, io.ErrUnexpectedEOF},
		"without end":         {func(exchangeRequest) (int, any) { return 200, big }, 1, nil},
		"another status":      {func(exchangeRequest) (int, any) { return 500, strings.NewReader("{}") }, 1, nil},
		"nothing that verifies": {func(exchangeRequest) (int, any) {
			return 200, exchangeReply{Digest: lie, Sums: zeros, Statements: [][]byte{{1}, {2}}}
		}, 2, errApart},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			rounds := 0
			client := &http.Client{Transport: liarTransport(func(req exchangeRequest) (int, any) { rounds++; return row.answer(req) })}
			_, err := p.a.replica.reconcile(t.Context(), client, "micro02", nil)
			require.Error(t, err)
			if row.is != nil {
				require.ErrorIs(t, err, row.is)
			}
			require.LessOrEqual(t, rounds, row.rounds)
			require.Equal(t, here.digest(), p.a.replica.now().digest())
		})
	}
	require.GreaterOrEqual(t, len(rows), 15)
	require.Less(t, big.read, 4*maxExchange)
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// hanging answers never, or begins to.
type hanging struct{ begins bool }

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.begins {
		in, out := io.Pipe()
		go func() {
			io.WriteString(out, `{"digest":`)
			<-r.Context().Done()
			out.CloseWithError(r.Context().Err())
		}()
		return &http.Response{StatusCode: http.StatusOK, Body: in, Header: http.Header{}}, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestMemberThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		for _, begins := range []bool{false, true} {
			started := time.Now()
			_, err := p.a.replica.reconcile(t.Context(), &http.Client{Transport: hanging{begins}}, "micro02", nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, roundTime, time.Since(started))
			require.False(t, strangers(err), "who is slow is no stranger")
		}
	})
}

func TestFloodOfAMember(t *testing.T) {
	var door turnstile
	one, other := certstore.KeyID{1}, certstore.KeyID{2}
	for range maxAtOnce {
		require.True(t, door.enter(one, 1))
	}
	require.False(t, door.enter(one, 1))
	require.True(t, door.enter(other, maxExchange-1), "the others are served all the same")
	require.False(t, door.enter(other, 2), "all of them together are no larger than one may be")
	require.True(t, door.enter(other, 1))
	door.leave(other, 1)
	door.leave(one, 1)
	require.True(t, door.enter(one, 1))
	for range maxAtOnce {
		door.leave(one, 1)
	}
	door.leave(other, maxExchange-1)
	require.Empty(t, door.inside, "who is not there takes no room")
}

func TestRestGrowsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContacts(5 * time.Second)
		down := errors.New("down")
		for _, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
			c.met("micro02", down)
			require.Equal(t, want*time.Second, c.rest("micro02"))
			time.Sleep(want * time.Second)
			require.LessOrEqual(t, c.rest("micro02"), time.Duration(0))
		}
		c.met("micro02", down)
		c.heard("micro02", false)
		require.Zero(t, c.rest("micro02"), "it has called")
		c.met("micro02", errApart)
		c.heard("micro02", false)
		require.Positive(t, c.rest("micro02"), "it was never away, and calling changes nothing")
		require.NotContains(t, c.byName, "micro03")
		c.retain(nil)
		require.Empty(t, c.byName)
	})
}

// TestSourceOfNews: what this machine issued, with whichever of its keys, is its own to tell; what somebody else issued is not,
// however it came.
func TestSourceOfNews(t *testing.T) {
	p := newPair(t)
	store := p.a.store
	before := p.a.replica.now()
	require.NoError(t, store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"127.0.0.1:3"}}))
	require.NoError(t, store.RotateTo(t.Context(), newIdentity(t, "micro01")))
	require.NoError(t, store.SwitchIdentity(t.Context()))
	require.NoError(t, store.RetireIdentity(t.Context()))
	source := p.a.sourceIn(store.Snapshot())
	issued := p.a.replica.now().since(before)
	require.Len(t, issued, 4, "profile, hand-over, profile of the new key, removal of the former by itself; one profile is superseded")
	for _, st := range issued {
		from, ours := source(st)
		require.Empty(t, from)
		require.True(t, ours, st.Kind())
	}
	foreign := p.admits(t, 0, 1)
	_, ours := source(foreign[0])
	require.False(t, ours, "nobody sent it, and this machine did not issue it")

	require.NoError(t, p.b.store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"127.0.0.1:4"}}))
	for _, st := range p.b.store.Statements() {
		if _, is := st.Profile(); is && st.Issuer() == p.b.store.Identity().KeyID() {
			_, ours = source(st)
			require.True(t, ours, "the profile of whom it admitted, as a join brings it")
		}
	}

	encoded, err := issued[0].MarshalBinary()
	require.NoError(t, err)
	_, err = p.b.replica.take(t.Context(), "micro01", [][]byte{encoded})
	require.NoError(t, err)
	from, ours := p.b.sourceIn(p.b.store.Snapshot())(issued[0])
	require.Equal(t, "micro01", from)
	require.False(t, ours)
}

func TestJournalTellsEachWhatConcernsIt(t *testing.T) {
	p := newPair(t)
	var j journal
	names := []string{"b", "c", "d", "e", "f", "g"}
	senders := map[certstore.StatementID]string{}
	sender := func(st *certstore.Statement) (string, bool) {
		from, sent := senders[st.ID()]
		return from, !sent
	}
	require.Empty(t, j.update(p.a.replica.now(), names, sender), "what was there before is no news")

	made := p.admits(t, 0, 1)
	give(t, p.a, made)
	require.Equal(t, names, j.update(p.a.replica.now(), names, sender))
	got, end := j.since("c", 0)
	require.Equal(t, []certstore.StatementID{made[0].ID()}, []certstore.StatementID{got[0].ID()})
	again, _ := j.since("c", end)
	require.Empty(t, again)

	passed := p.admits(t, 1, 2)
	senders[passed[0].ID()] = "b"
	give(t, p.a, passed)
	woken := j.update(p.a.replica.now(), names, sender)
	require.Len(t, woken, fanOut)
	require.NotContains(t, woken, "b", "it sent that")
	for _, name := range names {
		got, _ := j.since(name, end)
		require.Equal(t, len(got) > 0, slices.Contains(woken, name))
	}

	common := p.admits(t, 2, 3)
	senders[common[0].ID()] = "" // it came by no member: another one put it into a database that they share
	give(t, p.a, common)
	require.Len(t, j.update(p.a.replica.now(), names, sender), fanOut)

	give(t, p.a, p.admits(t, 3, 3+maxJournal))
	require.Equal(t, names, j.update(p.a.replica.now(), names, sender))
	got, _ = j.since("c", 0)
	require.Len(t, got, maxJournal, "the oldest are found by comparing")
}
