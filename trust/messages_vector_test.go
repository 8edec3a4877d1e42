package trust_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/session"
)

// messageVectors is testdata/vectors/join-messages.json: bodies that an initiator takes or refuses.
type messageVectors struct {
	Protocol     string            `json:"protocol"`
	Placeholders map[string]string `json:"placeholders"`
	Messages     []bodyVector      `json:"messages"`
}

type bodyVector struct {
	Name     string `json:"name"`
	Class    string `json:"class"`
	Endpoint string `json:"endpoint"`
	Body     string `json:"body,omitempty"`
	BodyHex  string `json:"body_hex,omitempty"` // where a body is no text
}

// text returns the body with the placeholders filled in.
func (v bodyVector) text(t *testing.T, values map[string]string) string {
	t.Helper()
	if v.BodyHex != "" {
		raw, err := hex.DecodeString(v.BodyHex)
		require.NoError(t, err)
		return string(raw)
	}
	body := v.Body
	for name, value := range values {
		body = strings.ReplaceAll(body, name, value)
	}
	return body
}

func loadJSON(t *testing.T, name string, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", name))
	require.NoError(t, err)
	require.NoError(t, wire.DecodeJSON(raw, into))
}

// TestMessagesAreRefused sends every body of join-messages.json to a real service, signed where it must be, and expects the
// answer of its class. The bodies of class accepted show that the others are refused for what is wrong with them alone.
func TestMessagesAreRefused(t *testing.T) {
	var file messageVectors
	loadJSON(t, "join-messages.json", &file)
	require.Equal(t, "microtrust/2", file.Protocol)
	first := founder(t)
	s := first.openAsking(session.Config{})
	me := newMachine(t, "micro02")
	begin := func(t *testing.T) *documentJoiner {
		j := newDocumentJoiner(t, first.addr, s.Passphrase().Reveal(), me.store.Identity().TLSCertificate())
		j.hello()
		return j
	}
	var proved *documentJoiner
	var values map[string]string
	checked := map[string]int{}
	for _, v := range file.Messages {
		t.Run(v.Endpoint+" "+v.Class+": "+v.Name, func(t *testing.T) {
			switch v.Endpoint {
			case "hello":
				resp, body := newDocumentJoiner(t, first.addr, "", me.store.Identity().TLSCertificate()).post("hello", "", v.text(t, nil))
				if v.Class == "accepted" {
					require.Equal(t, http.StatusOK, resp.StatusCode)
				} else {
					require.Equal(t, "stranger", v.Class)
					requireStranger(t, resp, body)
				}
			case "join":
				requireClass(t, v, begin(t).ask("join", v.text(t, nil)))
			default:
				if proved == nil {
					proved, values = approvedJoiner(t, first, me, s)
				}
				proved.t = t
				requireClass(t, v, proved.ask(v.Endpoint, v.text(t, values)))
			}
			checked[v.Class+" "+v.Endpoint]++
		})
	}
	for class, least := range map[string]int{
		"accepted hello": 5, "stranger hello": 29, "accepted join": 5, "invalid join": 42, "accepted result": 3, "invalid result": 11,
		"accepted done": 1, "invalid done": 12, "accepted abort": 2, "invalid abort": 5,
	} {
		require.GreaterOrEqual(t, checked[class], least, class)
	}
	require.Zero(t, s.WrongProofs(), "a malformed message is no guess")
	require.Equal(t, 2, first.store.Snapshot().Len())
}

func requireClass(t *testing.T, v bodyVector, reply documentReply) {
	t.Helper()
	if v.Class == "invalid" {
		require.Equal(t, []string{"refused", "invalid"}, []string{reply.State, reply.Code}, "%+v", reply)
		require.NotEmpty(t, reply.Reason, "a proved peer hears why")
		return
	}
	require.Equal(t, "accepted", v.Class)
	answers := map[string]string{"join": "pending", "result": "approved", "done": "joined", "abort": "refused"}
	require.Equal(t, answers[v.Endpoint], reply.State, "%+v", reply)
	if v.Endpoint == "abort" {
		require.Equal(t, "aborted", reply.Code)
	}
}

// approvedJoiner returns a joiner that was approved and has received the set, and what the placeholders stand for.
func approvedJoiner(t *testing.T, first, me *machine, s *session.Session) (*documentJoiner, map[string]string) {
	t.Helper()
	j := newDocumentJoiner(t, first.addr, s.Passphrase().Reveal(), me.store.Identity().TLSCertificate())
	j.hello()
	require.Equal(t, "pending", j.ask("join", `{"name":"micro02"}`).State)
	for _, joiner := range s.Joiners() {
		if joiner.State == session.StateOffered {
			require.NoError(t, s.Approve(t.Context(), joiner.ID))
		}
	}
	page := j.ask("result", `{}`)
	require.Equal(t, "approved", page.State)
	values := map[string]string{"{digest}": page.Digest}
	var statements []*certstore.Statement
	for _, encoded := range page.Statements {
		st, err := certstore.ParseEncodedStatement(encoded)
		require.NoError(t, err)
		statements = append(statements, st)
		switch st.Kind() {
		case certstore.KindAdmit:
			values["{admit}"] = base64.StdEncoding.EncodeToString(encoded)
		case certstore.KindProfile:
			values["{other profile}"] = base64.StdEncoding.EncodeToString(encoded)
		}
	}
	profile, err := me.store.Adopt(t.Context(), certstore.AdoptRequest{
		Cluster: certstore.ClusterID(digits(t, page.Cluster, 32)), Digest: certstore.Digest(digits(t, page.Digest, 32)), Statements: statements,
	})
	require.NoError(t, err)
	encoded, err := profile.MarshalBinary()
	require.NoError(t, err)
	values["{profile}"] = base64.StdEncoding.EncodeToString(encoded)
	require.Len(t, values, 4)
	return j, values
}
