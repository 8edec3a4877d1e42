package trust

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
)

// introduced hands the handler of introductions one request of whoever has the identity.
func introduced(s *Service, as *certstore.Identity, method, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://micro01"+path, bytes.NewReader(body))
	r.TLS = &tls.ConnectionState{
		HandshakeComplete: true, Version: tls.VersionTLS13, NegotiatedProtocol: IntroduceProtocol, PeerCertificates: as.Chain(),
	}
	w := httptest.NewRecorder()
	s.introduceHandler().ServeHTTP(w, r)
	return w
}

func introduceBody(t testing.TB, cluster certstore.ClusterID, statements ...*certstore.Statement) []byte {
	t.Helper()
	req := introduceRequest{Cluster: cluster.String()}
	for _, st := range statements {
		b, err := st.MarshalBinary()
		require.NoError(t, err)
		req.Statements = append(req.Statements, b)
	}
	body, err := wire.EncodeJSON(req)
	require.NoError(t, err)
	return body
}

// removedMember makes a member of p's cluster that is removed again at a, and returns it with the chain that once proved it.
func removedMember(t *testing.T, p *pair) (*certstore.Identity, []*certstore.Statement) {
	t.Helper()
	former := newIdentity(t, "former")
	m, err := p.a.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: former.Certificate(), Name: "former"})
	require.NoError(t, err)
	chain := p.a.store.Evidence().Membership(m.Key)
	require.Len(t, chain, 2)
	_, err = p.a.store.Remove(t.Context(), certstore.RemoveRequest{Key: m.Key, Keep: certstore.KeepNone})
	require.NoError(t, err)
	return former, chain
}

func TestIntroductionTellsStrangersNothing(t *testing.T) {
	p, other := newPair(t), newPair(t)
	var err error
	plenty := ratelimit.Rate{Events: 10_000, Per: time.Second, Burst: 10_000} // all that is large comes from one source here
	p.a, err = NewService(Config{Store: p.a.store, Admission: ratelimit.AdmissionConfig{Source: plenty, Block: plenty, Total: plenty}})
	require.NoError(t, err)
	cluster, otherCluster := p.a.cluster(), other.a.cluster()
	stranger := newIdentity(t, "stranger")
	_, formerChain := removedMember(t, p)
	memberChain := p.a.store.Evidence().Membership(p.b.store.Identity().KeyID())
	genesis := memberChain[0]
	admits := p.admits(t, 0, maxIntroduction)
	forged := introduceBody(t, cluster, append([]*certstore.Statement{genesis}, admits[:255]...)...)
	var bad introduceRequest
	require.NoError(t, wire.DecodeJSON(forged, &bad))
	for _, st := range bad.Statements[1:] {
		st[len(st)-1] ^= 1
	}
	badSignatures, err := wire.EncodeJSON(bad)
	require.NoError(t, err)
	removal := slices.Collect(func(yield func(*certstore.Statement) bool) {
		for _, st := range p.a.store.Statements() {
			if st.Kind() == certstore.KindRemove && !yield(st) {
				return
			}
		}
	})
	large := introduceRequest{Cluster: cluster.String(), Statements: [][]byte{make([]byte, maxIntroductionBytes+1)}}
	tooLarge, err := wire.EncodeJSON(large)
	require.NoError(t, err)

	before := p.a.replica.now().digest()
	unknown := `{"answer":"unknown"}`
	rows := map[string][]byte{
		"nothing":                     introduceBody(t, cluster),
		"another cluster":             introduceBody(t, otherCluster),
		"no cluster":                  introduceBody(t, certstore.ClusterID{}),
		"cluster that is none":        []byte(`{"cluster":"x"}`),
		"a member's chain":            introduceBody(t, cluster, memberChain...),
		"a former member's chain":     introduceBody(t, cluster, formerChain...),
		"another cluster's chain":     introduceBody(t, cluster, other.a.store.Evidence().Membership(other.a.store.Identity().KeyID())...),
		"another cluster and chain":   introduceBody(t, otherCluster, other.a.store.Evidence().Membership(other.a.store.Identity().KeyID())...),
		"no genesis":                  introduceBody(t, cluster, memberChain[1:]...),
		"the genesis twice":           introduceBody(t, cluster, genesis, genesis),
		"the genesis last":            introduceBody(t, cluster, append(slices.Clone(memberChain[1:]), genesis)...),
		"an issuer that is not there": introduceBody(t, cluster, genesis, memberChain[2]),
		"a removal":                   introduceBody(t, cluster, append([]*certstore.Statement{genesis}, removal...)...),
		"admits of somebody else":     introduceBody(t, cluster, append([]*certstore.Statement{genesis}, admits[:10]...)...),
		"one statement too many":      introduceBody(t, cluster, append([]*certstore.Statement{genesis}, admits...)...),
		"more bytes than a chain has": tooLarge,
		"statements that are none":    []byte(`{"cluster":"` + cluster.String() + `","statements":["AAAA"]}`),
		"255 bad signatures":          badSignatures,
		"an extension and nothing":    []byte(`{"cluster":"` + cluster.String() + `","ext":{"more":1}}`),
	}
	for name, body := range rows {
		w := introduced(p.a, stranger, http.MethodPost, introducePath, body)
		require.Equal(t, http.StatusOK, w.Code, name)
		require.Equal(t, unknown, w.Body.String(), name)
	}
	require.GreaterOrEqual(t, len(rows), 19)
	require.Equal(t, before, p.a.replica.now().digest(), "nothing was stored")

	for name, row := range map[string]struct {
		method, path string
		body         []byte
	}{
		"another method": {http.MethodGet, introducePath, nil},
		"another path":   {http.MethodPost, pathPrefix + "hello", introduceBody(t, cluster)},
		"members' path":  {http.MethodPost, exchangePath, introduceBody(t, cluster)},
		"no JSON":        {http.MethodPost, introducePath, []byte("x")},
		"more members":   {http.MethodPost, introducePath, []byte(`{"cluster":"","more":1}`)},
		"body too large": {http.MethodPost, introducePath, make([]byte, maxIntroduceBody+1)},
	} {
		w := introduced(p.a, stranger, row.method, row.path, row.body)
		require.Equal(t, http.StatusForbidden, w.Code, name)
		require.Equal(t, refusal, w.Body.String(), name)
	}
}

func TestIntroductionNeedsItsOwnProtocol(t *testing.T) {
	p := newPair(t)
	r := httptest.NewRequest(http.MethodPost, introducePath, bytes.NewReader(introduceBody(t, p.a.cluster())))
	r.TLS = &tls.ConnectionState{
		HandshakeComplete: true, Version: tls.VersionTLS13, NegotiatedProtocol: Protocol, PeerCertificates: p.b.store.Identity().Chain(),
	}
	w := httptest.NewRecorder()
	p.a.introduceHandler().ServeHTTP(w, r)
	require.Equal(t, http.StatusForbidden, w.Code)
}

func TestFormerMemberIsShownItsRemoval(t *testing.T) {
	p := newPair(t)
	former, chain := removedMember(t, p)
	for _, body := range [][]byte{introduceBody(t, p.a.cluster()), introduceBody(t, p.a.cluster(), chain...)} {
		w := introduced(p.a, former, http.MethodPost, introducePath, body)
		require.Equal(t, http.StatusOK, w.Code)
		var reply introduceReply
		require.NoError(t, wire.DecodeJSON(w.Body.Bytes(), &reply))
		require.Equal(t, answerRemoved, reply.Answer)
		shown, err := parseChain(p.a.cluster(), reply.Statements, never, certstore.KindAdmit, certstore.KindRemove)
		require.NoError(t, err)
		require.Len(t, shown, 2, "the genesis, whose issuer removed it, and the removal")
	}
	require.False(t, p.a.store.Snapshot().Trusts(former.Fingerprint()))
}

// TestLargeIntroductionsCostMore: reading and decoding the largest body costs as much of the admission as the hundred requests
// that would have kept the machine busy for as long.
func TestLargeIntroductionsCostMore(t *testing.T) {
	p := newPair(t)
	slow := ratelimit.Rate{Events: 1, Per: 3600e9, Burst: 60}
	for _, row := range []struct{ size, admitted int }{{1 << 10, 60}, {maxIntroduceBody, 1}} {
		s, err := NewService(Config{Store: p.a.store, Admission: ratelimit.AdmissionConfig{Source: slow}})
		require.NoError(t, err)
		body, admitted := bytes.Repeat([]byte(" "), row.size), 0
		for range 70 {
			if w := introduced(s, newIdentity(t, "stranger"), http.MethodPost, introducePath, body); w.Code != http.StatusTooManyRequests {
				admitted++
			}
		}
		require.Equal(t, row.admitted, admitted, "%d bytes", row.size)
	}
}

// TestLargeIntroductionsWaitBeforeTheyAreDecoded: while the statements of one are looked at, the others are not even decoded, except
// for what is too small to matter.
func TestLargeIntroductionsWaitBeforeTheyAreDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		done, err := p.a.introductionTurn(t.Context())
		require.NoError(t, err)
		answered := make(chan int, 3)
		for _, size := range []int{maxIntroduceBody, bytesPerRequest + 1, bytesPerRequest} {
			go func() {
				introduced(p.a, p.b.store.Identity(), http.MethodPost, introducePath, bytes.Repeat([]byte("x"), size))
				answered <- size
			}()
		}
		synctest.Wait()
		require.Equal(t, bytesPerRequest, <-answered)
		require.Empty(t, answered)
		done()
		require.Greater(t, <-answered, bytesPerRequest)
		require.Greater(t, <-answered, bytesPerRequest)
		again, err := p.a.introductionTurn(t.Context())
		require.NoError(t, err, "each gave its turn back")
		again()
	})
}

// TestFormerMemberPaysForVerifying: who can make chains that hold together pays for each 16 statements as for a request.
func TestFormerMemberPaysForVerifying(t *testing.T) {
	p := newPair(t)
	slow := ratelimit.Rate{Events: 1, Per: 3600e9, Burst: 5}
	s, err := NewService(Config{Store: p.a.store, Admission: ratelimit.AdmissionConfig{Source: slow, Block: slow, Total: slow}})
	require.NoError(t, err)
	chain := append(p.a.store.Evidence().Membership(p.a.store.Identity().KeyID())[:1], p.admits(t, 0, 200)...)
	w := introduced(s, newIdentity(t, "stranger"), http.MethodPost, introducePath, introduceBody(t, p.a.cluster(), chain...))
	require.Equal(t, http.StatusTooManyRequests, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}

// hostile is a server of introductions that answers as a test wants.
type hostile struct {
	addr string
	mu   sync.Mutex
	seen []introduceRequest
}

func newHostile(t *testing.T, id *certstore.Identity, answer func(introduceRequest) string) *hostile {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{id.TLSCertificate()}, NextProtos: []string{IntroduceProtocol}, ClientAuth: tls.RequireAnyClientCert,
	})
	require.NoError(t, err)
	h := &hostile{addr: ln.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { h.serve(conn, answer) })
		}
	})
	t.Cleanup(func() { ln.Close(); running.Wait() })
	return h
}

func (h *hostile) serve(conn net.Conn, answer func(introduceRequest) string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, err := io.ReadAll(r.Body)
		var req introduceRequest
		if err != nil || wire.DecodeJSON(body, &req) != nil {
			return
		}
		h.mu.Lock()
		h.seen = append(h.seen, req)
		h.mu.Unlock()
		out := answer(req)
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(out), out); err != nil {
			return
		}
	}
}

func TestHostileServerOfIntroductions(t *testing.T) {
	p, other := newPair(t), newPair(t)
	impostor := newIdentity(t, "micro02")
	reply := func(answer string, statements ...*certstore.Statement) func(introduceRequest) string {
		r := introduceReply{Answer: answer}
		for _, st := range statements {
			b, _ := st.MarshalBinary()
			r.Statements = append(r.Statements, b)
		}
		b, err := wire.EncodeJSON(r)
		require.NoError(t, err)
		return func(introduceRequest) string { return string(b) }
	}
	own := p.a.store.Evidence().Membership(p.a.store.Identity().KeyID())
	theirs := p.a.store.Evidence().Membership(p.b.store.Identity().KeyID())
	_, formerChain := removedMember(t, p)
	var removal *certstore.Statement
	for _, st := range p.a.store.Statements() {
		if st.Kind() == certstore.KindRemove {
			removal = st
		}
	}
	admits := p.admits(t, 0, maxIntroduction)
	rows := map[string]struct {
		answer func(introduceRequest) string
		asked  int // how often the caller asks
	}{
		"proves nothing":          {reply(answerKnown), 1},
		"another member's chain":  {reply(answerKnown, theirs...), 1},
		"the caller's own chain":  {reply(answerKnown, own...), 1},
		"a former member's chain": {reply(answerKnown, formerChain...), 1},
		"another cluster's chain": {reply(answerKnown, other.a.store.Evidence().Membership(other.a.store.Identity().KeyID())...), 1},
		"knows nobody":            {reply(answerUnknown), 2},
		"another answer":          {reply("welcome"), 1},
		"removed, shows nothing":  {reply(answerRemoved), 1},
		"somebody else's removal": {reply(answerRemoved, own[0], removal), 1},
		"too many statements":     {reply(answerKnown, append(slices.Clone(own[:1]), admits...)...), 1},
		"statements by others":    {reply(answerKnown, append(slices.Clone(own[:1]), admits[:20]...)...), 1},
		"garbage":                 {func(introduceRequest) string { return "}{" }, 1},
		"too large":               {func(introduceRequest) string { return `{"answer":"` + strings.Repeat("x", maxIntroduceBody) + `"}` }, 1},
	}
	before := p.a.replica.now().digest()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t, impostor, row.answer)
			err := p.a.introduce(t.Context(), &certstore.Member{Name: "micro02", Addresses: []string{h.addr}})
			require.Error(t, err)
			require.NotErrorIs(t, err, ErrRemoved)
			require.Equal(t, before, p.a.replica.now().digest(), "nothing was stored")
			h.mu.Lock()
			defer h.mu.Unlock()
			require.Len(t, h.seen, row.asked, "nothing else is sent")
			require.Empty(t, h.seen[0].Statements, "the first request names the cluster and nothing else")
		})
	}
	require.GreaterOrEqual(t, len(rows), 13)
}

// FuzzIntroduction sends the handler of introductions what a stranger can send: nobody becomes known by it.
func FuzzIntroduction(f *testing.F) {
	t := newTarget(f)
	cluster := t.svc.cluster()
	stranger := fuzzIdentity(f, "stranger")
	own := t.store.Evidence().Membership(t.store.Identity().KeyID())
	f.Add([]byte(nil))
	f.Add(introduceBody(f, cluster))
	f.Add(introduceBody(f, certstore.ClusterID{}))
	f.Add(introduceBody(f, cluster, own...))
	f.Add([]byte(`{"cluster":"` + cluster.String() + `","statements":["AAAA"]}`))
	digest := t.store.Snapshot().Digest()
	f.Fuzz(func(tt *testing.T, body []byte) {
		w := introduced(t.svc, stranger, http.MethodPost, introducePath, body)
		require.Contains(tt, []string{`{"answer":"unknown"}`, refusal}, w.Body.String())
		require.Equal(tt, digest, t.store.Snapshot().Digest())
	})
}

// FuzzIntroductionReply reads what a server can answer: only a chain from the genesis holds.
func FuzzIntroductionReply(f *testing.F) {
	t := newTarget(f)
	cluster := t.svc.cluster()
	own, err := encodeChain(t.store.Evidence().Membership(t.store.Identity().KeyID()))
	require.NoError(f, err)
	f.Add([]byte(`{"answer":"unknown"}`))
	f.Add([]byte(`{"answer":"removed","statements":["AAAA"]}`))
	seed, err := wire.EncodeJSON(introduceReply{Answer: answerKnown, Statements: own})
	require.NoError(f, err)
	f.Add(seed)
	genesis := t.store.Evidence().Membership(t.store.Identity().KeyID())[0].ID()
	f.Fuzz(func(tt *testing.T, body []byte) {
		var reply introduceReply
		if wire.DecodeJSON(body, &reply) != nil {
			return
		}
		chain, err := parseChain(cluster, reply.Statements, never, certstore.KindAdmit, certstore.KindProfile)
		if err != nil {
			require.Empty(tt, chain)
			return
		}
		require.Equal(tt, genesis, chain[0].ID())
		require.LessOrEqual(tt, len(chain), maxIntroduction)
	})
}

// TestChainStopsWhereItBreaks: whoever shows statements that nothing leads to costs no more than the first of them.
func TestChainStopsWhereItBreaks(t *testing.T) {
	p := newPair(t)
	chain := p.a.store.Evidence().Membership(p.b.store.Identity().KeyID())
	require.Len(t, chain, 3, "genesis, admit, profile")
	encoded, err := encodeChain(chain)
	require.NoError(t, err)
	kinds := []certstore.Kind{certstore.KindAdmit, certstore.KindProfile}
	_, err = parseChain(p.a.cluster(), encoded, never, kinds...)
	require.NoError(t, err)
	for name, broken := range map[string][][]byte{
		"no issuer":      {encoded[0], encoded[2], encoded[1]},
		"no genesis":     encoded[1:],
		"genesis twice":  {encoded[0], encoded[0], encoded[1]},
		"empty":          nil,
		"not statements": {encoded[0], {1}},
	} {
		_, err := parseChain(p.a.cluster(), broken, never, kinds...)
		require.Error(t, err, name)
	}
	_, err = parseChain(p.a.cluster(), encoded, never, certstore.KindAdmit, certstore.KindRemove)
	require.ErrorIs(t, err, errMeaning, "another kind")

	require.True(t, leadsTo(chain, p.a.store.Identity().KeyID()))
	require.True(t, leadsTo(chain, p.b.store.Identity().KeyID()))
	require.False(t, leadsTo(chain[:1], p.b.store.Identity().KeyID()), "the genesis, which is no secret, is worth no evaluation to others")
	require.False(t, leadsTo(chain, p.guest.KeyID()))
}
