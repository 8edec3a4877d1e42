package trust_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
)

// grown returns the founder of a cluster whose set needs more than one page.
func grown(t *testing.T, others int) *machine {
	t.Helper()
	first := founder(t)
	attributes := map[string]string{}
	for i := range 64 {
		attributes[fmt.Sprintf("attribute%02d", i)] = strings.Repeat("x", 256)
	}
	cluster, _ := first.store.Cluster()
	for i := range others {
		m := newMachine(t, fmt.Sprintf("other%02d", i))
		_, err := first.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: m.store.Identity().Certificate(), Name: m.store.Identity().Name()})
		require.NoError(t, err)
		profile, err := m.store.Adopt(t.Context(), certstore.AdoptRequest{
			Cluster: cluster, Digest: first.store.Snapshot().Digest(), Statements: first.store.Statements(), Attributes: attributes,
		})
		require.NoError(t, err)
		_, err = first.store.Merge(t.Context(), []*certstore.Statement{profile})
		require.NoError(t, err)
	}
	return first
}

// TestIndependentJoiner: a joiner that knows nothing but docs/protocol.md joins a real service, by way of a repeated proof, a
// person's decision and several pages.
func TestIndependentJoiner(t *testing.T) {
	first := grown(t, 7)
	s := first.openAsking(session.Config{Services: map[string]string{"cluster": "6.1"}})
	me := newMachine(t, "micro02")
	j := newDocumentJoiner(t, first.addr, s.Passphrase().Reveal(), me.store.Identity().TLSCertificate())

	j.hello()
	const intent = `{"name":"micro02","addresses":["192.0.2.2:9443"],"services":{"cluster":"6.1"},"attributes":{"rack":"b"}}`
	proof := j.next("join", intent)
	require.Equal(t, proof, j.repeat("join", intent), "a repetition gets the same bytes")
	var initiator documentReply
	strict(t, proof, &initiator)
	require.Equal(t, "pending", initiator.State)
	require.Equal(t, "micro01", initiator.Name)
	require.Positive(t, initiator.Expires)

	waiting := s.Joiners()
	require.Len(t, waiting, 1)
	require.Equal(t, documentOffer(j), hex.EncodeToString(waiting[0].ID[:]), "both sides know the offer by the same id")
	require.NoError(t, s.Approve(t.Context(), waiting[0].ID))

	var statements []*certstore.Statement
	page := j.ask("result", `{"page":0}`)
	require.Greater(t, page.Pages, 1)
	for n := 0; ; n++ {
		require.Equal(t, "approved", page.State)
		require.Equal(t, n, page.Page)
		require.Equal(t, initiator.Cluster, page.Cluster)
		for _, encoded := range page.Statements {
			st, err := certstore.ParseEncodedStatement(encoded)
			require.NoError(t, err)
			statements = append(statements, st)
		}
		if n+1 == page.Pages {
			break
		}
		before := page
		page = j.ask("result", fmt.Sprintf(`{"page":%d}`, n+1))
		require.Equal(t, []any{before.Digest, before.Pages}, []any{page.Digest, page.Pages})
	}
	cluster := certstore.ClusterID(digits(t, page.Cluster, 32))
	set := certstore.Evaluate(cluster, statements)
	require.Equal(t, page.Digest, set.Digest().String())
	server, ok := set.ByFingerprint(certstore.Fingerprint(j.server))
	require.True(t, ok)
	require.Equal(t, initiator.Name, server.Name)

	profile, err := me.store.Adopt(t.Context(), certstore.AdoptRequest{
		Cluster: cluster, Digest: set.Digest(), Statements: statements,
		Addresses: []string{"192.0.2.2:9443"}, Attributes: map[string]string{"rack": "b"},
	})
	require.NoError(t, err)
	encoded, err := profile.MarshalBinary()
	require.NoError(t, err)
	done := j.ask("done", fmt.Sprintf(`{"digest":"%s","profile":"%s"}`, page.Digest, base64.StdEncoding.EncodeToString(encoded)))
	require.Equal(t, "joined", done.State)
	require.Equal(t, session.StateJoined, s.Joiners()[0].State)
	require.Zero(t, s.WrongProofs())
	same(t, first, me)
	resp, err := me.get("micro01", "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, resp.StatusCode)
}

// documentOffer is "Offer", for the intent of TestIndependentJoiner.
func documentOffer(j *documentJoiner) string {
	id := sha256.Sum256(protocolFields("microtrust/2 offer", j.ownPrint[:], "micro02", uint64(1), "192.0.2.2:9443",
		uint64(1), "cluster", "6.1", uint64(1), "rack", "b"))
	return hex.EncodeToString(id[:])
}

// TestIndependentJoinerHearsWhy: refusals, as a joiner that knows the document alone sees them.
func TestIndependentJoinerHearsWhy(t *testing.T) {
	first := founder(t)
	s := first.openAsking(session.Config{Services: map[string]string{"cluster": "6.1"}})
	own := newMachine(t, "micro02").store.Identity().TLSCertificate()
	begin := func(passphrase string) *documentJoiner {
		j := newDocumentJoiner(t, first.addr, passphrase, own)
		j.hello()
		return j
	}
	right := s.Passphrase().Reveal()
	const intent = `{"name":"micro02","services":{"cluster":"6.1"}}`

	wrong := begin(right + "s")
	resp, body := wrong.post("join", fmt.Sprintf("Microtrust-2 handshake=%x, sequence=1, share=%x, mac=%x", wrong.handshake, wrong.yb,
		wrong.mac("join", "joiner to initiator",
			protocolFields("microtrust/2 request", "joiner to initiator", wrong.handshake, uint64(1), "join", intent))), intent)
	requireStranger(t, resp, body)
	require.EqualValues(t, 1, s.WrongProofs())

	mismatch := begin(right).ask("join", `{"name":"micro02","services":{"cluster":"6.0"}}`)
	require.Equal(t, []string{"refused", "service-mismatch"}, []string{mismatch.State, mismatch.Code})
	require.Contains(t, mismatch.Reason, "6.0")
	require.Contains(t, mismatch.Reason, "6.1")

	denied := begin(right)
	require.Equal(t, "pending", denied.ask("join", intent).State)
	joiners := s.Joiners()
	require.NoError(t, s.Deny(joiners[len(joiners)-1].ID, "not one of ours"))
	answer := denied.ask("result", `{}`)
	require.Equal(t, []string{"refused", "denied", "not one of ours"}, []string{answer.State, answer.Code, answer.Reason})

	ended := begin(right)
	require.Equal(t, "pending", ended.ask("join", `{"name":"micro03","services":{"cluster":"6.1"}}`).State)
	s.Close(&session.StoppedError{Reason: "enough for today"})
	answer = ended.ask("result", `{}`)
	require.Equal(t, []string{"ended", "stopped", "enough for today"}, []string{answer.State, answer.Code, answer.Reason})
}

// TestIndependentExchange: "Between members" of docs/protocol.md, one request after the other.
func TestIndependentExchange(t *testing.T) {
	first := founder(t)
	s := first.open(session.Config{})
	second := newMachine(t, "micro02")
	joinAs(t, second, first, s)
	cluster, _ := first.store.Cluster()
	config := strangerTLS(second.store.Identity(), "http/1.1")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(status int, body string) (reply struct {
		Digest     string
		Sums       []byte
		Want       []byte
		Statements [][]byte
	}) {
		t.Helper()
		resp, err := client.Post("https://"+first.addr+"/trust/exchange", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, status, resp.StatusCode)
		if status == http.StatusOK {
			raw, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			strict(t, raw, &reply)
		}
		return reply
	}
	digest := first.store.Snapshot().Digest().String()
	head := fmt.Sprintf(`{"cluster":"%s","digest":"%s"`, cluster, digest)
	require.Equal(t, digest, ask(http.StatusOK, head+"}").Digest)
	unknown := strings.Repeat("ab", 32)
	require.Empty(t, ask(http.StatusOK, head+`,"buckets":"qw=="}`).Statements, "the digests are equal")
	other := strings.Replace(head, digest, unknown, 1)
	reply := ask(http.StatusOK, other+"}")
	require.Empty(t, reply.Want)
	require.Equal(t, bucketSums(first.store.Statements()), reply.Sums)
	id := bytes.Repeat([]byte{0xab}, 32)
	have := `,"have":"` + base64.StdEncoding.EncodeToString(id) + `"}`
	all := make([]byte, 256)
	for b := range all {
		all[b] = byte(b)
	}
	reply = ask(http.StatusOK, other+`,"buckets":"`+base64.StdEncoding.EncodeToString(all)+`"`+have)
	require.Equal(t, id, reply.Want)
	require.Len(t, reply.Statements, len(first.store.Statements()))
	ask(http.StatusBadRequest, head+`,"ext":{}}`)
	ask(http.StatusBadRequest, head+have) // in no bucket that was named
	ask(http.StatusBadRequest, strings.Replace(head, cluster.String(), unknown, 1)+"}")
	unsent, end := io.Pipe() // since who sends more than is read may have its connection ended before it reads why
	defer end.Close()
	tooLarge, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+first.addr+"/trust/exchange", unsent)
	require.NoError(t, err)
	tooLarge.ContentLength = 8<<20 + 1
	resp, err := client.Do(tooLarge)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

// bucketSums sums up a set by the first bytes of its ids.
func bucketSums(statements []*certstore.Statement) []byte {
	const label = "microtrust/2 bucket of a trust store"
	var out []byte
	for b := range 256 {
		text := "\x00\x00\x00" + string(rune(len(label))) + label
		for _, st := range statements { // ascending by id
			if id := st.ID(); int(id[0]) == b {
				text += "\x00\x00\x00\x20" + string(id[:])
			}
		}
		sum := sha256.Sum256([]byte(text))
		out = append(out, sum[:16]...)
	}
	return out
}

// joinAs makes m a member by the protocol.
func joinAs(t *testing.T, m, first *machine, s *session.Session) {
	t.Helper()
	p, err := hmacauth.ParsePassphrase(s.Passphrase().Reveal())
	require.NoError(t, err)
	j := newDocumentJoiner(t, first.addr, p.Reveal(), m.store.Identity().TLSCertificate())
	j.hello()
	require.Equal(t, "pending", j.ask("join", `{"name":"`+m.store.Identity().Name()+`"}`).State)
	require.Equal(t, "approved", j.ask("result", `{}`).State)
}

// requireStranger makes sure that a reply is the one that strangers get: "Refusals".
func requireStranger(t *testing.T, resp *http.Response, body []byte) {
	t.Helper()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.True(t, bytes.Equal([]byte(`{"error":"refused"}`), body), "%s", body)
	require.Equal(t, []string{"application/json"}, resp.Header.Values("Content-Type"))
	require.Equal(t, []string{"no-store"}, resp.Header.Values("Cache-Control"))
	require.Empty(t, resp.Header.Values("Authentication-Info"))
}
