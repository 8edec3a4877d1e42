package trust

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/stretchr/testify/require"
)

// host is whoever a newcomer asks for the set: it answers as a tape says, with statements that are genuine, damaged, or of another
// cluster, and at times honestly.
type host struct {
	t       *testing.T
	p       *pool
	tape    *tape
	honest  http.Handler
	raw     []byte
	digest  string   // that it announced last
	told    [][]byte // the encodings of what was in its answers so far
	refused bool     // one of them was no reply
	asked   int
}

func (h *host) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	require.NoError(h.t, err)
	h.asked++
	require.False(h.t, h.refused, "whoever breaks a rule is asked no more")
	req, _, _, err := parseExchangeRequest(body)
	require.NoError(h.t, err)
	require.True(h.t, req.newcomer())
	h.checkHave(req.Have)
	rec := httptest.NewRecorder()
	if h.tape.pick(4) == 0 {
		h.honest.ServeHTTP(rec, request(r.Method, r.URL.Path, "", body, shown(h.p.people[1], "h2")))
		var reply exchangeReply
		require.NoError(h.t, wire.DecodeJSON(rec.Body.Bytes(), &reply))
		h.told, h.digest = append(h.told, reply.Statements...), reply.Digest
		return rec.Result(), nil
	}
	said := h.raw
	if h.tape.pick(8) > 0 {
		_, encoded, sound := h.p.chain(h.t, h.tape)
		h.told = append(h.told, encoded...)
		h.refused = h.refused || !sound
		var set []*certstore.Statement
		for _, b := range h.told {
			if st, err := certstore.ParseEncodedStatement(b); err == nil {
				set = append(set, st)
			}
		}
		digest := certstore.Evaluate(h.p.cluster, set).Digest()
		digest[0] ^= byte(h.tape.pick(2)) // or one that these have not
		h.digest = digest.String()
		said, err = wire.EncodeJSON(exchangeReply{Digest: h.digest, Statements: encoded})
		require.NoError(h.t, err)
	} else {
		reply, _, err := parseExchangeReply(said)
		h.told, h.digest = append(h.told, reply.Statements...), reply.Digest
		h.refused = h.refused || err != nil
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(said)), Request: r}, nil
}

// checkHave requires that a request names what was told so far, each once.
func (h *host) checkHave(have []byte) {
	named := map[certstore.StatementID]bool{}
	for id := range eachID(have) {
		require.False(h.t, named[id])
		named[id] = true
	}
	for _, b := range h.told {
		st, err := certstore.ParseEncodedStatement(b)
		require.NoError(h.t, err)
		require.True(h.t, named[st.ID()])
	}
	require.LessOrEqual(h.t, len(named), len(h.told))
}

// FuzzNewcomer lets somebody who has nothing ask for the whole set, of whoever answers whatever it likes: what comes of it is what was
// answered, all of one cluster, with the digest that was announced for it, or an error; and nobody is asked for ever.
func FuzzNewcomer(f *testing.F) {
	p := newPool(f)
	f.Add([]byte{0}, []byte(nil))
	f.Add([]byte{1, 1, 3, 0, 0, 1, 0, 2, 0, 0}, []byte(nil))
	f.Add([]byte{1, 1, 2, 0, 0, 1, 0, 1, 1, 1, 2, 2, 0, 3, 0, 1, 1, 1, 1, 4, 0, 0}, []byte(nil))
	f.Add([]byte{1, 1, 1, 0, 15, 0, 9, 3, 0}, []byte(nil))
	f.Add([]byte{1, 1, 7, 0, 0, 12, 0, 13, 0, 0, 0, 14, 0, 15, 0, 16, 0, 0}, []byte(nil))
	f.Add([]byte{1, 0, 1, 0}, []byte(`{"digest":""}`))
	last := byte(len(p.statements) - 1) // of another cluster
	f.Add([]byte{1, 1, 2, 0, 0, last, 0, 0}, []byte(nil))
	var slow []byte // never what was announced
	for k := range last {
		slow = append(slow, 1, 1, 1, k, 0, 1)
	}
	f.Add(slow, []byte(nil))
	full := &tape{bytes.Repeat([]byte{1}, len(p.statements))}
	member := p.machine(f, 0, full)
	f.Cleanup(func() { member.store.Close() })
	f.Fuzz(func(t *testing.T, data, raw []byte) {
		h := &host{t: t, p: p, tape: &tape{slices.Clone(data[:min(len(data), longestTape)])}, honest: member.Handler(), raw: raw}
		set, err := pullSet(t.Context(), &http.Client{Transport: h}, "micro01")
		require.LessOrEqual(t, h.asked, maxRounds)
		if err != nil {
			require.Nil(t, set)
			return
		}
		require.False(t, h.refused)
		var ids, told []string
		for _, st := range set.statements {
			require.Equal(t, set.cluster, st.Cluster())
			b, err := st.MarshalBinary()
			require.NoError(t, err)
			ids = append(ids, string(b))
		}
		for _, b := range h.told {
			told = append(told, string(b))
		}
		slices.Sort(told)
		require.ElementsMatch(t, slices.Compact(told), ids, "all that was answered, once")
		require.Equal(t, certstore.Evaluate(set.cluster, set.statements).Digest(), set.digest)
		require.Equal(t, h.digest, set.digest.String(), "as announced")
	})
}
