package trust

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/stretchr/testify/require"
)

// pool is the statements of a cluster that grew at two ends, and of another one, with those whom they are about: two members, two
// whom the second admitted, one whom the first admitted later, a former one, and a stranger.
type pool struct {
	people     []*certstore.Identity
	cluster    certstore.ClusterID
	shared     []*certstore.Statement // what both members have in any case
	statements []*certstore.Statement // all, the shared ones first
}

func newPool(tb testing.TB) *pool {
	p := &pool{}
	for _, name := range []string{"micro01", "micro02", "micro03", "micro04", "micro05", "micro06", "micro07"} {
		p.people = append(p.people, fuzzIdentity(tb, name))
	}
	ctx := tb.Context()
	admit := func(by *certstore.Store, who int) {
		_, err := by.Admit(ctx, certstore.AdmitRequest{Certificate: p.people[who].Certificate(), Name: p.people[who].Name()})
		require.NoError(tb, err)
	}
	a, b, other := fuzzStore(tb, p.people[0]), fuzzStore(tb, p.people[1]), fuzzStore(tb, p.people[0])
	require.NoError(tb, a.Bootstrap(ctx, "127.0.0.1:9441"))
	require.NoError(tb, other.Bootstrap(ctx, "127.0.0.1:9441"))
	admit(a, 1)
	p.cluster, _ = a.Cluster()
	p.shared = a.Statements()
	admit(a, 5)
	_, err := b.Adopt(ctx, certstore.AdoptRequest{
		Cluster: p.cluster, Digest: a.Snapshot().Digest(), Statements: a.Statements(), Addresses: []string{"127.0.0.1:9442"},
	})
	require.NoError(tb, err)
	admit(b, 2)
	admit(b, 3)
	require.NoError(tb, b.UpdateProfile(ctx, certstore.Profile{Addresses: []string{"127.0.0.1:9444"}}))
	_, err = a.Remove(ctx, certstore.RemoveRequest{Key: p.people[5].KeyID(), Keep: certstore.KeepNone})
	require.NoError(tb, err)
	admit(a, 4)
	admit(other, 6)
	seen := map[certstore.StatementID]bool{}
	p.shared = p.inOrder(p.shared)
	for _, st := range slices.Concat(p.shared, p.inOrder(slices.Concat(a.Statements(), b.Statements())), p.inOrder(other.Statements())) {
		if !seen[st.ID()] {
			p.statements = append(p.statements, st)
		}
		seen[st.ID()] = true
	}
	require.GreaterOrEqual(tb, len(p.statements), 11)
	return p
}

// inOrder sorts statements in a way that is the same in every process, as their ids are not.
func (p *pool) inOrder(set []*certstore.Statement) []*certstore.Statement {
	place := func(st *certstore.Statement) int {
		who := func(key certstore.KeyID) int {
			return slices.IndexFunc(p.people, func(id *certstore.Identity) bool { return id.KeyID() == key })
		}
		a, _ := st.Admit()
		return int(st.Kind())*1000 + who(st.Issuer())*100 + who(a.Subject)
	}
	set = slices.Clone(set)
	slices.SortStableFunc(set, func(x, y *certstore.Statement) int { return place(x) - place(y) })
	return set
}

// machine opens a service of somebody who has the shared statements and those of the others that the tape says.
func (p *pool) machine(tb testing.TB, who int, tape *tape) *Service {
	set := slices.Clone(p.shared)
	for _, st := range p.statements[len(p.shared):] {
		if st.Cluster() == p.cluster && tape.pick(2) == 1 {
			set = append(set, st)
		}
	}
	backend := certstore.NewMemoryBackend()
	require.NoError(tb, backend.Append(context.Background(), certstore.Batch{Cluster: p.cluster, Statements: set}))
	store, err := certstore.OpenBackend(backend, p.people[who])
	require.NoError(tb, err)
	s, err := NewService(Config{Store: store})
	require.NoError(tb, err)
	return s
}

// chain draws statements, with their encodings, of which one may be damaged.
func (p *pool) chain(tb testing.TB, tape *tape) (chain []*certstore.Statement, encoded [][]byte, sound bool) {
	sound = true
	for n := tape.pick(8); n > 0; n-- {
		st := p.statements[tape.pick(len(p.statements))]
		b, err := st.MarshalBinary()
		require.NoError(tb, err)
		if tape.pick(16) == 15 {
			b[(tape.pick(256)<<8|tape.pick(256))%len(b)] ^= byte(1 + tape.pick(255))
			sound = false
		}
		chain, encoded = append(chain, st), append(encoded, b)
	}
	return chain, encoded, sound
}

// proves reports whether statements are a chain as docs/protocol.md, section "Introductions", wants it: the genesis first, and each
// further one of the given kinds and issued by whom those before admit.
func (p *pool) proves(chain []*certstore.Statement, kinds ...certstore.Kind) bool {
	if len(chain) == 0 || chain[0].Kind() != certstore.KindGenesis || chain[0].Cluster() != p.cluster {
		return false
	}
	reached := []certstore.KeyID{chain[0].Issuer()}
	for _, st := range chain[1:] {
		if st.Cluster() != p.cluster || !slices.Contains(kinds, st.Kind()) || !slices.Contains(reached, st.Issuer()) {
			return false
		}
		if a, ok := st.Admit(); ok {
			reached = append(reached, a.Subject)
		}
	}
	return true
}

// evaluates is what statements of the store and a chain say together.
func (p *pool) evaluates(s *Service, chain []*certstore.Statement) *certstore.Snapshot {
	return certstore.Evaluate(p.cluster, slices.Concat(s.store.Statements(), chain))
}

// asked lets somebody introduce itself with a chain, and compares the answer with what the statements say.
func (p *pool) asked(t *testing.T, s *Service, tape *tape) {
	who := p.people[1+tape.pick(len(p.people)-1)]
	chain, encoded, sound := p.chain(t, tape)
	body, err := wire.EncodeJSON(introduceRequest{Cluster: p.cluster.String(), Statements: encoded})
	require.NoError(t, err)
	before, both := s.store.Snapshot(), p.evaluates(s, chain)
	w := introduced(s, who, http.MethodPost, introducePath, body)
	require.Equal(t, http.StatusOK, w.Code)
	var reply introduceReply
	require.NoError(t, wire.DecodeJSON(w.Body.Bytes(), &reply))
	_, was := before.ByCertificate(who.Certificate().Raw)
	_, is := both.ByCertificate(who.Certificate().Raw)
	holds := sound && p.proves(chain, certstore.KindAdmit, certstore.KindProfile)
	seen := s.store.Statements()
	if holds {
		seen = append(seen, chain...)
	}
	// A key that was removed here, and never admitted as far as anybody showed, is a stranger's.
	gone := before.Gone(who.KeyID()) && leadsTo(seen, who.KeyID())
	known := was || is && holds && !before.Gone(who.KeyID())
	require.Equal(t, known, reply.Answer == answerKnown, reply.Answer)
	require.Equal(t, gone, reply.Answer == answerRemoved)
	shown, err := parseChain(p.cluster, reply.Statements, never, certstore.KindAdmit, certstore.KindProfile, certstore.KindRemove)
	switch reply.Answer {
	case answerKnown:
		require.NoError(t, err)
		_, proved := certstore.Evaluate(p.cluster, shown).ByCertificate(s.store.Identity().Certificate().Raw)
		require.True(t, proved, "this machine proves itself in turn")
	case answerRemoved:
		require.NoError(t, err)
		require.True(t, certstore.Evaluate(p.cluster, shown).Gone(who.KeyID()), "the removal is shown")
	default:
		require.Empty(t, reply.Statements, "a stranger learns nothing")
	}
	if known && !was {
		require.Equal(t, both.Digest(), s.store.Snapshot().Digest())
	} else {
		require.Equal(t, before.Digest(), s.store.Snapshot().Digest(), "nothing is stored")
	}
}

// told lets this machine take what somebody shows to whom it has introduced itself.
func (p *pool) told(t *testing.T, s *Service, tape *tape) {
	chain, encoded, sound := p.chain(t, tape)
	before, both := s.store.Snapshot(), p.evaluates(s, chain)
	var err error
	var want bool
	if peer := p.people[tape.pick(len(p.people))]; tape.pick(4) > 0 {
		err = s.believeMember(context.Background(), "micro02", p.cluster, peer.Certificate(), encoded)
		_, is := both.ByCertificate(peer.Certificate().Raw)
		want = sound && is && p.proves(chain, certstore.KindAdmit, certstore.KindProfile)
		require.Equal(t, want, err == nil, "%v", err)
	} else {
		err = s.believeRemoval(context.Background(), "micro02", p.cluster, encoded)
		_, still := both.ByKey(s.store.Identity().KeyID())
		want = sound && !still && p.proves(chain, certstore.KindAdmit, certstore.KindRemove)
		require.Equal(t, want, errors.Is(err, ErrRemoved), "%v", err)
	}
	if want {
		require.Equal(t, both.Digest(), s.store.Snapshot().Digest())
	} else {
		require.Equal(t, before.Digest(), s.store.Snapshot().Digest(), "nothing is stored")
	}
}

// FuzzIntroductions lets members, former ones and a stranger show genuine statements of any kind in any order, some damaged or of
// another cluster, to a machine that has some of them: it answers as the statements themselves say, and stores them or nothing.
func FuzzIntroductions(f *testing.F) {
	p := newPool(f)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 4, 0, 1, 4})
	for who := range byte(7) { // the genesis, and all others after it
		f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, who, 7, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 1, 7, 0, 0, 1, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, who, 1})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tape := &tape{data[:min(len(data), longestTape)]}
		s := p.machine(t, tape.pick(2), tape)
		defer s.store.Close()
		for tape.more() {
			if tape.pick(2) == 0 && s.store.Identity() == p.people[0] {
				p.asked(t, s, tape)
			} else {
				p.told(t, s, tape)
			}
		}
	})
}

// wires is the way from one member to another, on which the tape damages replies, holds them back and sends others again, as a member
// can that answers itself.
type wires struct {
	t      *testing.T
	tape   *tape // nil: nothing happens on the way
	from   *certstore.Identity
	to     http.Handler
	before [][]byte
}

func (w *wires) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	require.NoError(w.t, err)
	rec := httptest.NewRecorder()
	w.to.ServeHTTP(rec, request(r.Method, r.URL.Path, "", body, shown(w.from, "h2")))
	reply := rec.Result()
	if w.tape == nil || !w.tape.more() {
		return reply, nil
	}
	said := rec.Body.Bytes()
	w.before = append(w.before, said)
	switch w.tape.pick(8) {
	case 0:
		return nil, io.ErrUnexpectedEOF
	case 1:
		said = w.before[w.tape.pick(len(w.before))]
	case 2:
		said = bytes.Clone(said)
		said[(w.tape.pick(256)<<8|w.tape.pick(256))%len(said)] ^= byte(1 + w.tape.pick(255))
	case 3:
		said = w.edited(said)
	}
	reply.Body = io.NopCloser(bytes.NewReader(said))
	return reply, nil
}

// edited leaves statements out, wants other ones, and says another digest.
func (w *wires) edited(said []byte) []byte {
	var reply exchangeReply
	if wire.DecodeJSON(said, &reply) != nil {
		return said
	}
	switch n := len(reply.Statements); {
	case n > 0:
		reply.Statements = append(reply.Statements[:w.tape.pick(n)], reply.Statements[w.tape.pick(n):]...)
	case len(reply.Sums) > 0:
		reply.Sums[w.tape.pick(256)] ^= 1
	default:
		reply.Digest = certstore.Digest{byte(w.tape.pick(256))}.String()
	}
	if w.tape.pick(2) == 1 {
		reply.Want = append(reply.Want, make([]byte, idSize)...)
	}
	out, err := wire.EncodeJSON(reply)
	require.NoError(w.t, err)
	return out
}

// FuzzReconcile lets two members that have different parts of a cluster's statements exchange them, over a way on which anything
// happens to the replies, and then once more: nobody loses or invents a statement, and afterwards both have all of them.
func FuzzReconcile(f *testing.F) {
	p := newPool(f)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1})
	f.Add([]byte{0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 4, 1, 0, 2, 0, 3, 4, 3, 9, 1, 4})
	f.Add([]byte{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 3, 0, 0, 1, 0, 2, 200, 1, 7, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		tape := &tape{data[:min(len(data), longestTape)]}
		a, b := p.machine(t, 0, tape), p.machine(t, 1, tape)
		defer a.store.Close()
		defer b.store.Close()
		union := certstore.Evaluate(p.cluster, slices.Concat(a.store.Statements(), b.store.Statements()))
		client := &http.Client{Transport: &wires{t: t, tape: tape, from: p.people[0], to: b.Handler()}}
		for range 3 {
			before := a.store.Statements()
			_, _ = a.replica.reconcile(t.Context(), client, "micro02", nil)
			p.genuine(t, a.store, before)
			p.genuine(t, b.store, nil)
		}
		client.Transport = &wires{t: t, from: p.people[0], to: b.Handler()}
		x, err := a.replica.reconcile(t.Context(), client, "micro02", nil)
		require.NoError(t, err)
		require.Equal(t, union.Digest(), x.digest)
		require.Equal(t, union.Digest(), a.store.Snapshot().Digest())
		require.Equal(t, union.Digest(), b.store.Snapshot().Digest())
	})
}

// genuine checks that a store holds statements of the pool alone, and still what it held before, but for profiles.
func (p *pool) genuine(t *testing.T, s *certstore.Store, before []*certstore.Statement) {
	held := map[certstore.StatementID]bool{}
	for _, st := range s.Statements() {
		held[st.ID()] = true
		require.True(t, slices.ContainsFunc(p.statements, func(of *certstore.Statement) bool { return of.ID() == st.ID() }))
	}
	for _, st := range before {
		require.True(t, held[st.ID()] || st.Kind() == certstore.KindProfile, "lost")
	}
}
