package session_test

import (
	"fmt"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// The passphrase must not come out of anything that is printed, logged or encoded, and not be found by walking over the
// fields.
func TestThePassphraseIsNeverPrinted(t *testing.T) {
	const secret = "unmistakable"
	p, err := hmacauth.ParsePassphrase(secret + " words of a person")
	require.NoError(t, err)
	cfg := session.Config{Passphrase: p}
	s, err := session.New(cfg, newRegistry().hooks())
	require.NoError(t, err)
	defer s.Close(nil)
	require.Contains(t, s.Passphrase().Reveal(), secret, "the check looks for the right thing")
	id := propose(t, s, offer(t, "a"), session.StateOffered)
	j, _ := s.Lookup(id)
	values := map[string]any{
		"Config": cfg, "*Config": &cfg, "Session": s, "Event": session.Event{Joiner: j, Kind: session.EventOffered}, "Joiner": j,
		"in a struct": struct{ S *session.Session }{s}, "in a slice": []any{cfg, s},
		"error": &session.FieldError{Field: "Passphrase", Rule: fmt.Sprint(p)},
	}
	checked := 0
	check := func(out string) {
		t.Helper()
		checked++
		require.NotContains(t, out, secret)
		require.NotContains(t, out, fmt.Sprintf("%x", secret))
		require.NotContains(t, out, fmt.Sprint([]byte(secret)))
	}
	for _, v := range values {
		redacttest.Show(v, func(text, _ string) { check(text) })
		redacttest.Fields(v, check)
	}
	require.GreaterOrEqual(t, checked, 100)
}

func TestSessionPrintsItsState(t *testing.T) {
	s := open(t, session.Config{}, newRegistry())
	require.Regexp(t, `^session [0-9a-f]{32} \(open\)$`, s.String())
	s.Close(session.ErrExhausted)
	for _, text := range []string{fmt.Sprintf("%v", s), fmt.Sprintf("%#v", s), s.LogValue().String()} {
		require.Regexp(t, `^session [0-9a-f]{32} \(closed: exhausted\)$`, text)
	}
}
