package hmacauth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

func TestRequestChangedInOneFieldIsRefused(t *testing.T) {
	ours, theirs := meet(t, newSide(t), newSide(t))
	rows := map[string]func(*hmacauth.Request, *hmacauth.MAC){
		"handshake":           func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Handshake[15] ^= 1 },
		"sequence":            func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Sequence++ },
		"endpoint":            func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Endpoint = hmacauth.EndpointAbort },
		"endpoint of key":     func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Endpoint = hmacauth.EndpointJoin },
		"endpoint in case":    func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Endpoint = "Result" },
		"no endpoint":         func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Endpoint = "" },
		"body":                func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Body = []byte(`{"name":"micro03"}`) },
		"body with a tail":    func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Body = append(q.Body, ' ') },
		"body cut":            func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Body = q.Body[:len(q.Body)-1] },
		"no body":             func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Body = nil },
		"byte moved forward":  func(q *hmacauth.Request, _ *hmacauth.MAC) { q.Endpoint, q.Body = q.Endpoint+"{", q.Body[1:] },
		"code, first bit":     func(_ *hmacauth.Request, m *hmacauth.MAC) { m[0] ^= 0x80 },
		"code, last bit":      func(_ *hmacauth.Request, m *hmacauth.MAC) { m[31] ^= 1 },
		"code of zeros":       func(_ *hmacauth.Request, m *hmacauth.MAC) { *m = hmacauth.MAC{} },
		"another key's code":  func(q *hmacauth.Request, m *hmacauth.MAC) { *m = ours.SignReply(*q, *m, hmacauth.Reply{Body: q.Body}) },
		"code of another one": func(q *hmacauth.Request, m *hmacauth.MAC) { o := *q; o.Sequence++; *m = theirs.SignRequest(o) },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			q := request()
			q.Endpoint = hmacauth.EndpointResult
			m := theirs.SignRequest(q)
			require.NoError(t, ours.VerifyRequest(q, m))
			change(&q, &m)
			require.ErrorIs(t, ours.VerifyRequest(q, m), hmacauth.ErrMAC)
		})
	}
	require.Len(t, rows, 16)
}

func TestReplyChangedInOneFieldIsRefused(t *testing.T) {
	ours, theirs := meet(t, newSide(t), newSide(t))
	type sent struct {
		q  hmacauth.Request
		of hmacauth.MAC
		p  hmacauth.Reply
		m  hmacauth.MAC
	}
	rows := map[string]func(*sent){
		"handshake":              func(s *sent) { s.q.Handshake[15] ^= 1 },
		"sequence":               func(s *sent) { s.q.Sequence++ },
		"endpoint":               func(s *sent) { s.q.Endpoint = hmacauth.EndpointDone },
		"endpoint of key":        func(s *sent) { s.q.Endpoint = hmacauth.EndpointJoin },
		"status":                 func(s *sent) { s.p.Status = 201 },
		"status, negative":       func(s *sent) { s.p.Status = -200 },
		"body":                   func(s *sent) { s.p.Body = []byte(`{"state":"approveD"}`) },
		"no body":                func(s *sent) { s.p.Body = nil },
		"the request's code":     func(s *sent) { s.of[0] ^= 1 },
		"code, first bit":        func(s *sent) { s.m[0] ^= 0x80 },
		"code, last bit":         func(s *sent) { s.m[31] ^= 1 },
		"code of zeros":          func(s *sent) { s.m = hmacauth.MAC{} },
		"the request reflected":  func(s *sent) { s.m = s.of },
		"reply to another":       func(s *sent) { o := s.q; o.Body = nil; s.m = ours.SignReply(s.q, theirs.SignRequest(o), s.p) },
		"the request as a reply": func(s *sent) { s.p.Body = s.q.Body; s.m = s.of },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			s := sent{q: request(), p: hmacauth.Reply{Status: 200, Body: []byte(`{"state":"approved"}`)}}
			s.q.Endpoint = hmacauth.EndpointResult
			s.of = theirs.SignRequest(s.q)
			s.m = ours.SignReply(s.q, s.of, s.p)
			require.NoError(t, theirs.VerifyReply(s.q, s.of, s.p, s.m))
			change(&s)
			require.ErrorIs(t, theirs.VerifyReply(s.q, s.of, s.p, s.m), hmacauth.ErrMAC)
		})
	}
	require.Len(t, rows, 15)
}

// The code of one handshake is worthless in another one between the same machines with the same passphrase, even if a broken
// initiator gave both the same id.
func TestCodesDoNotCrossHandshakes(t *testing.T) {
	_, theirs := meet(t, newSide(t), newSide(t))
	ours, _ := meet(t, newSide(t), newSide(t))
	q := request()
	require.ErrorIs(t, ours.VerifyRequest(q, theirs.SignRequest(q)), hmacauth.ErrMAC)
}

// Keys refuse a message that names another handshake, though its code was computed with the right key.
func TestKeysRefuseMessagesOfOtherHandshakes(t *testing.T) {
	ours, theirs := meet(t, newSide(t), newSide(t))
	q := request()
	q.Handshake[0] ^= 1
	m := theirs.SignRequest(q)
	require.ErrorIs(t, ours.VerifyRequest(q, m), hmacauth.ErrMAC)
	p := hmacauth.Reply{Status: 200}
	require.ErrorIs(t, theirs.VerifyReply(q, m, p, ours.SignReply(q, m, p)), hmacauth.ErrMAC)
}

func TestZeroKeysVerifyNothing(t *testing.T) {
	ours, theirs := new(hmacauth.InitiatorKeys), new(hmacauth.JoinerKeys)
	q, p := request(), hmacauth.Reply{Status: 200}
	require.ErrorIs(t, ours.VerifyRequest(q, theirs.SignRequest(q)), hmacauth.ErrMAC)
	require.ErrorIs(t, ours.VerifyRequest(hmacauth.Request{}, hmacauth.MAC{}), hmacauth.ErrMAC)
	require.ErrorIs(t, theirs.VerifyReply(q, hmacauth.MAC{}, p, ours.SignReply(q, hmacauth.MAC{}, p)), hmacauth.ErrMAC)
}

// The error says nothing about the reason.
func TestFailedAuthenticationIsOneError(t *testing.T) {
	ours, theirs := meet(t, newSide(t), newSide(t))
	q := request()
	wrong := theirs.SignRequest(q)
	wrong[0] ^= 1
	other := q
	other.Handshake[0] ^= 1
	require.Equal(t, hmacauth.ErrMAC, ours.VerifyRequest(q, wrong))
	require.Equal(t, hmacauth.ErrMAC, ours.VerifyRequest(other, wrong))
}

func TestCodesAreComparedWhole(t *testing.T) {
	one := hmacauth.MAC{31: 1}
	require.True(t, one.Equal(one))
	for i := range one {
		other := one
		other[i] ^= 4
		require.False(t, one.Equal(other), i)
	}
}
