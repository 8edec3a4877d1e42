package trust_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestMicroCloudRefusals: what an initiator answers, row by row, and that none of it is offered to anybody, or counts as a wrong
// proof unless it is one.
func TestMicroCloudRefusals(t *testing.T) {
	first := newMachine(t, "micro01").serve(older())
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	s := first.openAsking(session.Config{Services: map[string]string{"LXD": "5.21.2"}, WantNames: []string{"micro02", "micro03"}})
	openOlder(t, first, s)
	j := newOlderJoiner(t, "micro02")
	j.services = map[string]string{"LXD": "5.21.2"}
	good := string(j.intent())
	signed := func(body string) string { return olderKey().Sign([]byte(body)) }
	other := keyOf("another passphrase")
	edit := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	name := `"name":"micro02"`
	wrongProofs := 0
	for _, row := range []struct {
		reason, header, body string
		status               int
		text                 string
	}{
		{"no header", "", good, 400, "Authorization header is missing"},
		{"no header that parses", "MicroCloud-1.0 zz:zz", good, 400, "Failed to parse Authorization header: "},
		{"another version", strings.Replace(signed(good), "-1.0", "-2.0", 1), good, 400, `Authorization header uses version "MicroCloud-2.0" but expected "MicroCloud-1.0"`},
		{"another passphrase", other.Sign([]byte(good)), good, 403, "Invalid HMAC"},
		{"a newline added", signed(good), good + "\n", 403, "Invalid HMAC"},
		{"not JSON", signed("{"), "{", 400, "malformed message: body"},
		{"another version of messages", signed(edit(`"2.0"`, `"3.0"`)), edit(`"2.0"`, `"3.0"`), 400, "malformed message: version"},
		{"no certificate", signed(edit("BEGIN CERT", "BEGIN CORT")), edit("BEGIN CERT", "BEGIN CORT"), 400, "malformed message: certificate"},
		{"a name that is none", signed(edit(name, `"name":"Micro 02"`)), edit(name, `"name":"Micro 02"`), 400, "Failed to register join intent: invalid: name"},
		{"a name nobody wants", signed(edit(name, `"name":"micro09"`)), edit(name, `"name":"micro09"`), 400, "Failed to register join intent: name-unwanted"},
		{"another service version", signed(edit(`.2"}`, `.1"}`)), edit(`.2"}`, `.1"}`), 400, `Rejecting peer "micro02" due to invalid LXD version. (Want: "5.21.2", Detected: "5.21.1")`},
		{"a missing service", signed(edit(`"LXD"`, `"LXC"`)), edit(`"LXD"`, `"LXC"`), 400, `Rejecting peer "micro02" due to missing services (LXD)`},
		{"this machine's own", signed(intentOf(t, first.store.Identity(), j)), intentOf(t, first.store.Identity(), j), 400, "Failed to register join intent: it is this machine's own"},
		{"right, in upper case", "MicroCloud-1.0 " + strings.ToUpper(strings.TrimPrefix(signed(good), "MicroCloud-1.0 ")), good, 200, ""},
		{"the same again", signed(good), good, 400, "Failed to register join intent: Fingerprint already exists"},
		{"the same certificate", signed(edit(name, `"name":"micro03"`)), edit(name, `"name":"micro03"`), 400, "Failed to register join intent: Fingerprint already exists"},
	} {
		before := len(s.Joiners())
		reply := olderCall(t, first.addr, nil, http.MethodPost, microcloudwire.JoinPath, row.header, []byte(row.body))
		require.Equal(t, row.status, reply.status, "%s: %s", row.reason, reply.text)
		require.True(t, strings.HasPrefix(reply.text, row.text), "%s: %s", row.reason, reply.text)
		if row.status == 403 {
			wrongProofs++
		}
		require.EqualValues(t, wrongProofs, s.WrongProofs(), row.reason)
		if row.status == 200 {
			before++
		}
		require.Len(t, s.Joiners(), before, row.reason)
	}
	require.Equal(t, map[string]session.State{"micro02": session.StateOffered}, states(s))

	s.Close(nil)
	require.Equal(t, "stopped", j.stopped(first))
	require.Zero(t, ask(t, first.addr, nil, nil, wish{"POST", microcloudwire.JoinPath}).status, "nobody gets in any more")
}

// intentOf is the body of an intent with somebody else's certificate.
func intentOf(t *testing.T, id *certstore.Identity, j *olderJoiner) string {
	t.Helper()
	body, err := microcloudwire.EncodeIntent(microcloudwire.Intent{Name: "micro02", Address: j.addr, Certificate: id.Certificate(), Services: j.services})
	require.NoError(t, err)
	return string(body)
}

// TestMicroCloudIntentsOfOthers: whoever knows the passphrase can name anybody's certificate, and gains nothing by that.
func TestMicroCloudIntentsOfOthers(t *testing.T) {
	first, s, _ := olderFounder(t, older(), session.Config{})
	second, third := newMachine(t, "micro02"), newMachine(t, "micro03")
	done := make(chan error, 2)
	join := func(m *machine) session.Joiner {
		go func() {
			_, err := trust.Join(t.Context(), first.addr, m.joinConfig(s, first))
			done <- err
		}()
		for ev := range s.Events(t.Context()) {
			if ev.Kind == session.EventOffered && ev.Joiner.Offer.Intent.Name == m.store.Identity().Name() {
				return ev.Joiner
			}
		}
		return session.Joiner{}
	}
	waits := join(second)
	nobody := lantest.FreeAddress(t)
	claim := func(m *machine) olderReply {
		body := intentOf(t, m.store.Identity(), &olderJoiner{addr: nobody})
		return olderCall(t, first.addr, nil, http.MethodPost, microcloudwire.JoinPath, olderKey().Sign([]byte(body)), []byte(body))
	}
	require.Equal(t, microcloudwire.TextDuplicate, claim(second).text, "it waits by the other protocol")
	require.NoError(t, s.Approve(t.Context(), waits.ID))
	require.NoError(t, <-done)
	require.Contains(t, claim(second).text, "that of a member")

	require.Equal(t, http.StatusOK, claim(third).status)
	waits = join(third)
	require.NoError(t, s.Approve(t.Context(), waits.ID), "who proves the key takes the place of the claim")
	require.NoError(t, <-done)

	_, err := first.store.Remove(t.Context(), certstore.RemoveRequest{Key: second.store.Identity().KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)
	require.Contains(t, claim(second).text, "removed")
}

// TestMicroCloudSuppliedPassphraseDies after ten wrong proofs, and with it this way in alone.
func TestMicroCloudSuppliedPassphraseDies(t *testing.T) {
	cfg := older()
	cfg.Attempts = ratelimit.AttemptsConfig{FreePerSource: 3, BackOff: time.Millisecond, MaxBackOff: time.Millisecond}
	first, s, _ := olderFounder(t, cfg, session.Config{})
	j, wrong := newOlderJoiner(t, "micro02"), *newOlderJoiner(t, "micro03")
	require.Equal(t, http.StatusOK, j.join(first).status)
	wrong.key = keyOf("another passphrase")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for s.WrongProofs() < 10 {
				wrong.join(first) // 403, and 429 meanwhile
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 10, s.WrongProofs(), "not one more")
	require.Equal(t, microcloudwire.TextNoSession, newOlderJoiner(t, "micro04").join(first).text)
	require.True(t, s.Open(), "the other passphrase is as good as before")
	_, err := first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: first.addr, Passphrase: phraseOf(t, olderPhrase)})
	require.ErrorIs(t, err, session.ErrExhausted)
	require.NoError(t, s.Approve(t.Context(), offered(t, s).ID), "and so is who has proved this one")
	require.Equal(t, http.MethodPost, j.next().method)
}

// TestMicroCloudConfig: what cannot work is refused when it is opened.
func TestMicroCloudConfig(t *testing.T) {
	off := newMachine(t, "micro01").serve(generous())
	require.NoError(t, off.store.Bootstrap(t.Context(), off.addr))
	s := off.openAsking(session.Config{})
	_, err := off.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: off.addr})
	require.ErrorIs(t, err, trust.ErrConfig)

	first, s, m := olderFounder(t, older(), session.Config{})
	unrelated, err := session.New(session.Config{}, session.Hooks{Admit: func(context.Context, session.Offer, session.Compared) error { return nil }})
	require.NoError(t, err)
	defer unrelated.Close(nil)
	strong, weak := m.Passphrase(), phraseOf(t, "koala amulet bronze violin")
	for reason, row := range map[string]struct {
		open *session.Session
		cfg  trust.MicroCloudConfig
		want error
	}{
		"no address":        {s, trust.MicroCloudConfig{}, trust.ErrConfig},
		"an address of two": {s, trust.MicroCloudConfig{Address: "10.0.0.1,10.0.0.2"}, trust.ErrConfig},
		"no service name":   {s, trust.MicroCloudConfig{Address: "10.0.0.1", Services: map[string]string{"": "1"}}, trust.ErrConfig},
		"a weak passphrase": {s, trust.MicroCloudConfig{Address: "10.0.0.1", Passphrase: weak}, trust.ErrWeakPassphrase},
		"the session's own": {s, trust.MicroCloudConfig{Address: "10.0.0.1", InsecureWeakPassphrase: true,
			Passphrase: phraseOf(t, strings.ToUpper(s.Passphrase().Reveal()))}, trust.ErrConfig},
		"open already":      {s, trust.MicroCloudConfig{Address: "10.0.0.1", Passphrase: strong}, trust.ErrSessionOpen},
		"no session":        {nil, trust.MicroCloudConfig{Address: "10.0.0.1"}, session.ErrClosed},
		"another's session": {unrelated, trust.MicroCloudConfig{Address: "10.0.0.1"}, session.ErrClosed},
	} {
		_, err := first.svc.OpenMicroCloud(row.open, row.cfg)
		require.ErrorIs(t, err, row.want, reason)
	}
	m.Close()
	m, err = first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "10.0.0.1", Passphrase: weak, InsecureWeakPassphrase: true})
	require.NoError(t, err)
	require.Equal(t, "koala amulet bronze violin", m.Passphrase().Reveal())
	s.Close(nil)
	_, err = first.svc.OpenMicroCloud(s, trust.MicroCloudConfig{Address: "10.0.0.1"})
	require.ErrorIs(t, err, session.ErrClosed)
	generated, err := first.svc.OpenMicroCloud(first.openAsking(session.Config{}), trust.MicroCloudConfig{Address: "10.0.0.1"})
	require.NoError(t, err)
	require.Len(t, strings.Split(generated.Passphrase().Reveal(), " "), 5)
}

func phraseOf(t *testing.T, text string) microcloud.Passphrase {
	t.Helper()
	p, err := microcloud.NewPassphrase(text)
	require.NoError(t, err)
	return p
}

// TestMicroCloudPassphrasesAreJudged: how strong a given one may be at most.
func TestMicroCloudPassphrasesAreJudged(t *testing.T) {
	for text, want := range map[string]int{
		"":                                   0,
		"a":                                  2,
		"koala amulet bronze violin":         41, // what initiators in the field generate
		"koala amulet bronze violin x y":     62,
		"koala amulet bronze violin x y z":   72,
		"koala-amulet-bronze-violin-x-y-z":   72,
		"koala koala KOALA koala koala a b ": 31,
		"correcthorsebatterystaple":          50,
		strings.Repeat("a", 200):             8,
		strings.Repeat("ab", 100):            16,
		"0123456789abcdef0123456789abcdef":   64, // 16 bytes in hexadecimal, perhaps
		olderPhrase:                          64,
		"Tr0ub4dor&3":                        20,
	} {
		require.InDelta(t, want, trust.JudgePassphrase(text), 1, text)
	}
}

// TestMicroCloudSecretsAreNotPrinted: nothing that is handed out shows the passphrase, and neither does the log.
func TestMicroCloudSecretsAreNotPrinted(t *testing.T) {
	var log securityLog
	cfg := older()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	first, s, m := olderFounder(t, cfg, session.Config{})
	wrong := newOlderJoiner(t, "micro02")
	wrong.key = keyOf("another passphrase")
	require.Equal(t, http.StatusForbidden, wrong.join(first).status)
	require.Equal(t, "MicroCloud-1.0 in "+s.String(), fmt.Sprint(m))
	_, _, m = olderFounder(t, older(), session.Config{}) // to which nothing comes, since a verb that is none reads all of it
	shown := 0
	for _, v := range []any{
		m, trust.MicroCloudConfig{Address: "10.0.0.1", Passphrase: m.Passphrase()},
		trust.MicroCloudJoinConfig{Address: "10.0.0.1", Passphrase: m.Passphrase()},
	} {
		redacttest.Show(v, func(text, how string) {
			require.NotContains(t, text, olderPhrase, how)
			shown++
		})
	}
	require.Greater(t, shown, 300)
	s.Close(nil)
	require.NoError(t, first.svc.Drain(t.Context()))
	log.mu.Lock()
	defer log.mu.Unlock()
	require.Contains(t, log.text.String(), "wrong proof")
	require.NotContains(t, log.text.String(), olderPhrase)
}
