package trust_test

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// TestRefusalsAreEqual collects every reason for which a stranger is refused and compares all bytes of the answers.
func TestRefusalsAreEqual(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	other := raw(t, newMachine(t, "other"), first, s.Passphrase())
	other.prove("other")
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	nonce := hexOf(make([]byte, 16))
	reasons := map[string]func() (rawReply, error){}
	add := func(reason, method, target string, body []byte, headers ...string) {
		require.NotContains(t, reasons, reason)
		reasons[reason] = func() (rawReply, error) { return j.request(method, target, body, headers...) }
	}
	post := func(reason string, m message, headers ...string) {
		if m.authorization != "" {
			headers = append(headers, "Authorization: "+m.authorization)
		}
		add(reason, http.MethodPost, "/microtrust/2/"+m.endpoint, m.body, headers...)
	}
	add("method", http.MethodPut, "/microtrust/2/hello", j.helloMessage("").body)
	add("path", http.MethodPost, "/", nil)
	add("endpoint", http.MethodPost, "/microtrust/2/other", nil)
	for reason, body := range map[string]string{
		"no body":         ``,
		"no JSON":         `{`,
		"no object":       `[]`,
		"null":            `{"protocol":"microtrust/2","nonce":null,"selector":""}`,
		"unknown member":  `{"protocol":"microtrust/2","nonce":"` + nonce + `","selector":"","more":1}`,
		"member twice":    `{"protocol":"microtrust/2","nonce":"` + nonce + `","nonce":"` + nonce + `","selector":""}`,
		"trailing data":   `{"protocol":"microtrust/2","nonce":"` + nonce + `","selector":""}{}`,
		"protocol":        `{"protocol":"microtrust/1","nonce":"` + nonce + `","selector":""}`,
		"short nonce":     `{"protocol":"microtrust/2","nonce":"00","selector":""}`,
		"upper case":      `{"protocol":"microtrust/2","nonce":"` + strings.Repeat("A", 32) + `","selector":""}`,
		"selector's size": `{"protocol":"microtrust/2","nonce":"` + nonce + `","selector":"` + strings.Repeat("s", 65) + `"}`,
		"too large":       `{"protocol":"microtrust/2","nonce":"` + nonce + `","ext":"` + strings.Repeat("x", 64<<10) + `"}`,
	} {
		post("hello: "+reason, message{endpoint: "hello", body: []byte(body)})
	}
	good := j.begin().sign(hmacauth.EndpointJoin, intent("micro02"))
	post("hello: with a header", message{"hello", good.authorization, j.hello})
	post("join: no header", message{"join", "", good.body})
	post("join: two headers", good, "Authorization: "+good.authorization)
	post("join: another scheme", message{"join", "Basic YTpi", good.body})
	post("join: upper case", message{"join", strings.ToUpper(good.authorization), good.body})
	post("join: leading zero", good.edit("sequence", "01"))
	post("join: no share", message{"join", strings.Replace(good.authorization, ", share="+good.field("share"), "", 1), good.body})
	post("join: too large", message{"join", good.authorization, make([]byte, 64<<10+1)})
	post("unknown handshake", good.edit("handshake", strings.Repeat("0", 32)))
	post("another's handshake", other.signAs(2, hmacauth.EndpointResult, []byte(`{"page":0}`)))
	for _, endpoint := range []string{"result", "done", "abort"} {
		post(endpoint+": before the proof", j.signAs(1, endpoint, []byte(`{"page":0}`)))
	}
	require.GreaterOrEqual(t, len(reasons), 26)
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		reply, err := reasons[reason]()
		require.NoError(t, err, reason)
		require.Equal(t, refusalBytes, reply.bytes, reason)
	}
	require.Zero(t, s.WrongProofs(), "none of these is a guess")
	j.refused(good.edit("share", "ed"+strings.Repeat("ff", 30)+"7f"), "a share that is none")
	require.Zero(t, s.WrongProofs())
	j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("micro02")).edit("mac", strings.Repeat("0", 64)), "wrong code")
	j.secret = wrong(t).Secret()
	j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("micro02")), "wrong passphrase")
	require.EqualValues(t, 2, s.WrongProofs())
	require.Len(t, s.Joiners(), 1)
}

// TestExpectTellsNothing: an HTTP server that reads a body says "100 Continue" to one that waits for it, which would tell
// a stranger how far its request came.
func TestExpectTellsNothing(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	answers := map[string]bool{}
	for _, m := range []func(*rawJoiner) message{
		func(j *rawJoiner) message { return j.helloMessage("") },
		func(j *rawJoiner) message { return message{endpoint: "other", body: []byte("{}")} },
		func(j *rawJoiner) message { return j.begin().sign(hmacauth.EndpointJoin, intent("micro02")) },
		func(j *rawJoiner) message {
			return j.begin().sign(hmacauth.EndpointJoin, intent("micro02")).edit("handshake", strings.Repeat("0", 32))
		},
	} {
		j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
		sent := m(j)
		headers := []string{"Expect: 100-continue"}
		if sent.authorization != "" {
			headers = append(headers, "Authorization: "+sent.authorization)
		}
		reply, err := j.request(http.MethodPost, "/microtrust/2/"+sent.endpoint, sent.body, headers...)
		require.NoError(t, err)
		answers[reply.bytes] = true
	}
	require.Len(t, answers, 1, "%q", answers)
	for answer := range answers {
		require.NotContains(t, answer, "100 Continue")
		require.Contains(t, answer, "403 Forbidden")
	}
}

// TestUnknownSelectorLooksLikeTheSession: whoever asks for an invitation that does not exist gets an exchange that no
// secret fits. Nothing tells it from the passphrase's, except that it never succeeds.
func TestUnknownSelectorLooksLikeTheSession(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	shape := func(m message) string {
		reply := j.send(m)
		require.Equal(t, http.StatusOK, reply.status)
		j.derive(m.body, reply)
		text := reply.bytes
		for _, value := range decode(t, reply.body) {
			text = strings.Replace(text, value.(string), fmt.Sprint(len(value.(string)), " digits"), 1)
		}
		return text
	}
	known := shape(j.helloMessage(""))
	seen := map[hmacauth.Share]bool{j.ya: true}
	for _, selector := range []string{"0", "session", "passphrase", "0123456789abcdef", strings.Repeat("s", 64)} {
		for range 2 {
			require.Equal(t, known, shape(j.helloMessage(selector)), selector)
			require.NotContains(t, seen, j.ya, "shares do not repeat, for one selector either")
			seen[j.ya] = true
			j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")), "the passphrase does not fit "+selector)
			j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")), "nor twice")
		}
	}
	require.Zero(t, s.WrongProofs(), "guessing at selectors does not touch the session")
	require.Empty(t, s.Joiners())

	j.derive(j.hello, rawReply{status: 200, body: j.reply}) // nor does any constant secret fit
	for _, guess := range []hmacauth.Secret{wrong(t).Secret(), passphrase(t, strings.Repeat("0", 32)).Secret()} {
		m := j.helloMessage("unknown")
		j.secret = guess
		j.derive(m.body, j.send(m))
		j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")))
	}
}

// TestLockedPassphraseLooksLikeAnOpenOne: when its attempts are used up, and as long as anything is open at all, a hello
// gets the same answer as before, and the right passphrase the same refusal as a wrong one.
func TestLockedPassphraseLooksLikeAnOpenOne(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{Passphrase: passphrase(t, "a passphrase that a person chose")})
	waiting := raw(t, newMachine(t, "waiting"), first, s.Passphrase())
	waiting.prove("waiting") // admitted, and not confirmed: the session has something left to do
	j := raw(t, newMachine(t, "micro02"), first, wrong(t))
	guesses := 0
	for ; s.Open(); guesses++ {
		require.Less(t, guesses, 20)
		j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("micro02")))
	}
	require.ErrorIs(t, s.Cause(), session.ErrExhausted)
	require.Equal(t, 10, guesses, "the budget of a secret that a person chose")
	j.secret = s.Passphrase().Secret()
	j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("micro02")), "the right one, too late")
	require.NotContains(t, states(s), "micro02")
	require.Equal(t, "approved", waiting.call(waiting.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["state"], "and nobody else is hurt")
}

// TestNothingIsDecodedBeforeItsCode: whether a body makes sense shows only to one that could sign it.
func TestNothingIsDecodedBeforeItsCode(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, wrong(t))
	noise := make([]byte, 200)
	rand.Read(noise)
	bodies := [][]byte{{}, []byte("{"), []byte(`{"name":null}`), []byte(strings.Repeat("[", 5000)), noise, []byte(`{"name":"micro02"}`)}
	for i, body := range bodies {
		j.refused(j.begin().sign(hmacauth.EndpointJoin, body))
		require.EqualValues(t, i+1, s.WrongProofs(), "a wrong proof counts whatever the body is")
	}
	j.secret = s.Passphrase().Secret()
	j.prove("micro02")
	for _, endpoint := range []string{"result", "done", "abort"} {
		for i, body := range bodies {
			bad := j.signAs(2, endpoint, body).edit("mac", strings.Repeat("0", 64))
			j.refused(bad, "%s %d", endpoint, i)
		}
	}
	for _, endpoint := range []string{"result", "done", "abort"} {
		for _, body := range bodies {
			reply := j.call(j.sign(endpoint, body))
			require.Equal(t, "refused", reply["state"], "one that proved itself is told")
			require.Equal(t, "invalid", reply["code"])
		}
	}
	require.Equal(t, map[string]session.State{"micro02": session.StateOffered}, states(s))
	for i, body := range bodies[:5] { // and the body of a join that is proved, and makes no sense
		reply := j.call(j.begin().sign(hmacauth.EndpointJoin, body))
		require.Equal(t, "refused", reply["state"], i)
	}
}
