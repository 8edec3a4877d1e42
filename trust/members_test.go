package trust_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/trust/trusttest"
	"github.com/stretchr/testify/require"
)

// settled waits until all machines trust the same number of members, and requires the sets to be equal.
func settled(t *testing.T, members int, machines ...*machine) {
	t.Helper()
	for _, m := range machines {
		for snapshot := range m.store.Watch(t.Context()) {
			if snapshot.Len() == members && addressed(snapshot) == members {
				break
			}
		}
	}
	same(t, machines...)
}

// addressed counts the members whose profile has arrived.
func addressed(snapshot *certstore.Snapshot) int {
	n := 0
	for m := range snapshot.Members() {
		if len(m.Addresses) > 0 {
			n++
		}
	}
	return n
}

func join(t *testing.T, m, first *machine, s *session.Session) trust.Result {
	t.Helper()
	res, err := trust.Join(t.Context(), first.addr, m.joinConfig(s, first))
	require.NoError(t, err)
	return res
}

// inNetwork runs fn in a bubble, with a network between members. Other than in a lan, a write waits for no reader, as it does not in TCP:
// two ends that write at once, such as one that greets and one that refuses, would wait for each other.
func inNetwork(t *testing.T, fn func(t *testing.T, n *trusttest.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, err := trusttest.NewNetwork(trusttest.Schedule{})
		require.NoError(t, err)
		t.Cleanup(n.Close)
		fn(t, n)
	})
}

// serveOver makes a machine on the network, which reaches the others by it.
func serveOver(t *testing.T, n *trusttest.Network, name string, cfg trust.Config) *machine {
	t.Helper()
	ln, err := n.Listen(name)
	require.NoError(t, err)
	m := newMachine(t, name).serveOn(ln, cfg, nil)
	m.store.DialWith(n.Dialer(name))
	return m
}

// TestMembersLearnOfEachOtherAtOnce runs in time that is not real, for a second member is not waited for long.
func TestMembersLearnOfEachOtherAtOnce(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *trusttest.Network) {
		began := time.Now()
		first := serveOver(t, n, "micro01", trust.Config{}).run()
		require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
		s := first.open(session.Config{})
		second, third := serveOver(t, n, "micro02", trust.Config{}).run(), serveOver(t, n, "micro03", trust.Config{}).run()
		join(t, second, first, s)
		res := join(t, third, first, s)
		require.Equal(t, "micro02", res.SecondSource, "a second member confirms the set")
		settled(t, 3, first, second, third)
		require.Less(t, time.Since(began), 3*time.Second, "before anybody exchanges at the pace of the config")
		for _, from := range []*machine{first, second, third} {
			for _, to := range []string{"micro01", "micro02", "micro03"} {
				if to == from.store.Identity().Name() {
					continue
				}
				resp, err := from.get(to, "/")
				require.NoError(t, err)
				require.Equal(t, http.StatusTeapot, resp.StatusCode)
			}
		}
	})
}

func TestAbsentMemberCatchesUp(t *testing.T) {
	first := founder(t).run()
	s := first.open(session.Config{})
	second := newMachine(t, "micro02").serve(trust.Config{Sync: 20 * time.Millisecond}) // serves, and is not in step yet
	join(t, second, first, s)
	require.NoError(t, second.srv.Close())
	third := newMachine(t, "micro03").serve(trust.Config{}).run()
	join(t, third, first, s)
	require.Equal(t, 2, second.store.Snapshot().Len())
	second.run() // asks the others by itself
	settled(t, 3, first, second, third)
}

// post sends a body to the members' endpoint as the machine m, over TLS that the machine to has pinned.
func (m *machine) post(to, body string) (int, string) {
	m.t.Helper()
	client := &http.Client{Transport: m.store.Transport(to)}
	defer client.CloseIdleConnections()
	resp, err := client.Post("https://"+to+"/trust/exchange", "application/json", bytes.NewReader([]byte(body)))
	require.NoError(m.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	return resp.StatusCode, string(text)
}

func TestExchangeRefuses(t *testing.T) {
	first := founder(t)
	second := newMachine(t, "micro02")
	join(t, second, first, first.open(session.Config{}))
	digest := first.store.Snapshot().Digest()
	cluster, _ := first.store.Cluster()
	valid, err := json.Marshal(map[string]string{"cluster": cluster.String(), "digest": digest.String()})
	require.NoError(t, err)
	status, text := second.post("micro01", string(valid))
	require.Equal(t, http.StatusOK, status, text)

	exact := strings.TrimSuffix(string(valid), "}")
	for name, body := range map[string]string{
		"empty":                "",
		"not JSON":             "x",
		"unknown member":       `{"cluster":"` + cluster.String() + `","digest":"","more":1}`,
		"another cluster":      `{"cluster":"` + digest.String() + `","digest":"` + digest.String() + `"}`,
		"no cluster":           `{"digest":"` + digest.String() + `"}`,
		"id that is none":      exact + `,"have":"AA=="}`,
		"id in no bucket":      exact + `,"have":"` + base64.StdEncoding.EncodeToString(digest[:]) + `"}`,
		"buckets out of order": exact + `,"buckets":"AgE="}`,
		"buckets repeated":     exact + `,"buckets":"AQE="}`,
		"ids as text":          exact + `,"have":["` + digest.String() + `"]}`,
		"too many statements":  exact + `,"statements":[` + strings.Repeat(`"",`, 1000) + `""]}`,
		"statements no array":  exact + `,"statements":"AA=="}`,
		"digest that is none":  `{"cluster":"` + cluster.String() + `","digest":"zz"}`,
	} {
		status, text := second.post("micro01", body)
		require.Equal(t, http.StatusBadRequest, status, "%s: %s", name, text)
	}
	// What does not verify is passed over; it neither fails the exchange nor changes anything.
	status, text = second.post("micro01", exact+`,"statements":["AAAA"]}`)
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, digest, first.store.Snapshot().Digest())
}

func TestContactCompletesJoin(t *testing.T) {
	// The joiner stored the set and was cut off before it could say so: its next contact as a member says it.
	first := founder(t)
	s := first.open(session.Config{})
	second := newMachine(t, "micro02")
	cfg := second.joinConfig(s, first)
	ctx, leave := context.WithCancelCause(t.Context())
	defer leave(nil)
	cut := &cutter{}
	cfg.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := cut.dial(ctx, network, address)
		if err != nil {
			leave(errGone) // what it had to say did not pass
		}
		return conn, err
	}
	cfg.Progress = func(p trust.Progress) {
		if p.Stage == trust.Storing {
			cut.after(0) // nothing passes any more
		}
	}
	_, err := trust.Join(ctx, first.addr, cfg)
	require.ErrorIs(t, err, errGone)
	require.Equal(t, session.StateAdmitted, s.Joiners()[0].State)

	cluster, in := second.store.Cluster()
	require.True(t, in, "stored before the cut")
	digest := second.store.Snapshot().Digest()
	status, text := second.post("micro01", `{"cluster":"`+cluster.String()+`","digest":"`+digest.String()+`"}`)
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, session.StateJoined, s.Joiners()[0].State)
}
