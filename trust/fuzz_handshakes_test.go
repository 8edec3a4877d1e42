package trust

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// tape is where the choices of a fuzzed conversation come from. At its end, every choice is the first one.
type tape struct{ rest []byte }

func (p *tape) more() bool { return len(p.rest) > 0 }

// pick returns a number below n, which is at most 256.
func (p *tape) pick(n int) int {
	if len(p.rest) == 0 {
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return int(b) % n
}

// longestTape is how many bytes of a tape are followed.
const longestTape = 160

// spoken is one handshake as its joiner knows it, and what the model of the protocol says of it.
type spoken struct {
	owner    *certstore.Identity
	keys     *hmacauth.JoinerKeys
	creds    hmacauth.Credentials
	begun    int  // its place among all
	proved   bool // the right proof was accepted
	dead     bool // had its one verification, or was replaced
	last     sentRequest
	before   sentRequest
	offer    session.OfferID
	intent   session.Intent
	set      *resultReply // what was delivered
	over     *outcome     // what ended the join
	joinSent bool
}

// sentRequest is a request as it went over the wire, with what came back.
type sentRequest struct {
	endpoint string
	creds    hmacauth.Credentials
	body     []byte
	reply    []byte
}

// hall is an initiator between several joiners that do anything, with the person who decides.
type hall struct {
	*target
	tt       *testing.T
	people   []*certstore.Identity
	spoken   []*spoken
	wrong    int64                         // proofs
	admitted map[certstore.Fingerprint]int // how many offers of it the person approved
	approved map[session.OfferID]bool
}

func newHall(tt *testing.T, first *certstore.Identity, people []*certstore.Identity) *hall {
	h := &hall{target: &target{}, tt: tt, people: people, admitted: map[certstore.Fingerprint]int{}, approved: map[session.OfferID]bool{}}
	h.store = fuzzStore(tt, first)
	require.NoError(tt, h.store.Bootstrap(tt.Context(), "127.0.0.1:9442"))
	fast := ratelimit.Rate{Events: 1_000_000, Per: time.Second, Burst: 1_000_000}
	var err error
	h.svc, err = NewService(Config{
		Store: h.store, Limits: Limits{PollTime: time.Microsecond, Handshakes: 4},
		Admission: ratelimit.AdmissionConfig{Source: fast, Block: fast, Total: fast}, Attempts: ratelimit.AttemptsConfig{FreePerSource: 1 << 20},
	})
	require.NoError(tt, err)
	h.session, err = h.svc.Open(tt.Context(), session.Config{MaxJoiners: 2})
	require.NoError(tt, err)
	h.handler = h.svc.joinHandler()
	return h
}

// close waits for the end, behind which nothing is remembered.
func (h *hall) close() {
	h.session.Close(nil)
	<-h.session.Ended()
	h.store.Close()
}

// standing is everything that must not change by what is refused.
func (h *hall) standing() (all []session.Joiner, digest certstore.Digest) {
	return h.session.Joiners(), h.store.Snapshot().Digest()
}

// refused sends what must be refused, and change nothing but the count of wrong proofs.
func (h *hall) refused(as *certstore.Identity, endpoint string, c hmacauth.Credentials, body []byte) {
	joiners, digest := h.standing()
	w := h.callAs(as, h.handler, pathPrefix+endpoint, hmacauth.FormatAuthorization(c), body)
	require.Equal(h.tt, http.StatusForbidden, w.Code)
	require.Equal(h.tt, refusal, w.Body.String())
	require.Empty(h.tt, w.Header().Get("Authentication-Info"))
	after, digestAfter := h.standing()
	require.Equal(h.tt, joiners, after)
	require.Equal(h.tt, digest, digestAfter)
}

// hello begins a handshake of somebody who knows the passphrase, or a wrong one.
func (h *hall) hello(owner *certstore.Identity, knows bool) {
	public := hmacauth.Handshake{Initiator: h.store.Identity().Fingerprint(), Joiner: owner.Fingerprint(), NonceJoiner: [16]byte{byte(len(h.spoken))}}
	request, err := wire.EncodeJSON(helloRequest{Protocol: Protocol, Nonce: hex.EncodeToString(public.NonceJoiner[:])})
	require.NoError(h.tt, err)
	w := h.callAs(owner, h.handler, pathPrefix+hmacauth.EndpointHello, "", request)
	if w.Code != http.StatusOK {
		require.Equal(h.tt, refusal, w.Body.String())
		require.False(h.tt, takesProofs(h.session), "an open session refuses no hello")
		return
	}
	var reply helloReply
	require.NoError(h.tt, wire.DecodeJSON(w.Body.Bytes(), &reply))
	var ya hmacauth.Share
	require.NoError(h.tt, errors.Join(readHex(public.ID[:], "handshake", reply.Handshake), readHex(public.Session[:], "session", reply.Session),
		readHex(public.NonceInitiator[:], "nonce", reply.Nonce), readHex(ya[:], "share", reply.Share)))
	secret := h.session.Passphrase().Secret()
	if !knows {
		p, err := hmacauth.ParsePassphrase("certainly not the passphrase")
		require.NoError(h.tt, err)
		secret = p.Secret()
	}
	share, keys, err := hmacauth.Respond(secret, public, ya, hmacauth.HelloHash(request, w.Body.Bytes()), nil)
	require.NoError(h.tt, err)
	h.spoken = append(h.spoken, &spoken{
		owner: owner, keys: keys, creds: hmacauth.Credentials{Handshake: public.ID, Share: share}, begun: len(h.spoken), dead: !knows,
	})
	require.LessOrEqual(h.tt, h.svc.handshakes.unproved.Len(), 4)
}

// sign makes the next request of a handshake, or one with another number.
func (s *spoken) sign(endpoint string, sequence uint64, body []byte) sentRequest {
	c := s.creds
	c.Sequence = sequence
	if endpoint != hmacauth.EndpointJoin {
		c.Share = hmacauth.Share{}
	}
	c.MAC = s.keys.SignRequest(hmacauth.Request{Handshake: c.Handshake, Sequence: sequence, Endpoint: endpoint, Body: body})
	return sentRequest{endpoint: endpoint, creds: c, body: body}
}

// verified sends what must be accepted, and returns the reply, whose code must be right.
func (h *hall) verified(s *spoken, m sentRequest) []byte {
	w := h.callAs(s.owner, h.handler, pathPrefix+m.endpoint, hmacauth.FormatAuthorization(m.creds), m.body)
	require.Equal(h.tt, http.StatusOK, w.Code, m.endpoint)
	mac, err := hmacauth.ParseAuthenticationInfo(w.Header().Get("Authentication-Info"))
	require.NoError(h.tt, err)
	q := hmacauth.Request{Handshake: m.creds.Handshake, Sequence: m.creds.Sequence, Endpoint: m.endpoint, Body: m.body}
	require.NoError(h.tt, s.keys.VerifyReply(q, m.creds.MAC, hmacauth.Reply{Status: w.Code, Body: w.Body.Bytes()}, mac))
	return w.Body.Bytes()
}

// next sends the next request of a proved handshake and remembers it.
func (h *hall) next(s *spoken, endpoint string, body any, into any) {
	encoded, err := wire.EncodeJSON(body)
	require.NoError(h.tt, err)
	m := s.sign(endpoint, s.last.creds.Sequence+1, encoded)
	m.reply = h.verified(s, m)
	s.before, s.last = s.last, m
	require.NoError(h.tt, wire.DecodeJSON(m.reply, into))
}

// join proves a handshake that has had no verification yet. It is refused if the joiner has proved itself by one that began later.
func (h *hall) join(s *spoken, intent session.Intent) {
	_, alive := h.svc.handshakes.find(time.Now(), time.Hour, s.creds.Handshake)
	body, err := wire.EncodeJSON(joinRequestOf(intent))
	require.NoError(h.tt, err)
	m := s.sign(hmacauth.EndpointJoin, 1, body)
	if s.joinSent = true; s.dead || !alive {
		if alive && h.session.Open() { // one that has ended shows nobody how many there were
			h.wrong++
		}
		h.refused(s.owner, m.endpoint, m.creds, m.body)
		s.dead = true
		return
	}
	for _, other := range h.spoken {
		if other.owner != s.owner || !other.proved || other.dead {
			continue
		}
		if other.begun > s.begun {
			h.refused(s.owner, m.endpoint, m.creds, m.body)
			s.dead = true
			return
		}
		other.dead = true
	}
	m.reply = h.verified(s, m)
	s.proved, s.last, s.intent = true, m, intent
	offer, err := session.NewOffer(s.owner.Certificate(), intent)
	require.NoError(h.tt, err)
	s.offer = offer.ID()
	var reply joinReply
	require.NoError(h.tt, wire.DecodeJSON(m.reply, &reply))
	require.Contains(h.tt, []string{statePending, stateRefused}, reply.State)
	if reply.State == stateRefused {
		s.over = &reply.outcome
		require.False(h.tt, h.session.Open(), "an open session takes everybody who proved the passphrase")
	}
}

// result asks how it stands, which is what the person has decided.
func (h *hall) result(s *spoken) {
	var reply resultReply
	h.next(s, hmacauth.EndpointResult, resultRequest{}, &reply)
	if s.over != nil && s.over.State != stateJoined {
		require.Equal(h.tt, *s.over, reply.outcome, "what ended a join stays the same")
		return
	}
	require.Equal(h.tt, h.approved[s.offer], reply.State == stateApproved, reply.State)
	switch reply.State {
	case stateApproved:
		if s.set != nil {
			require.Equal(h.tt, s.set.Digest, reply.Digest, "the set is frozen")
		}
		s.set = &reply
	case stateRefused, stateEnded:
		s.over = &reply.outcome
		require.NotEmpty(h.tt, reply.Code)
	default:
		require.Equal(h.tt, statePending, reply.State)
	}
}

// done says that the set is stored: with the right digest and profile, or others.
func (h *hall) done(s *spoken, lie int) {
	if s.intent.Name != s.owner.Name() {
		lie = 2 // who joins under another's name has no profile of its own
	}
	req := doneRequest{Digest: "00", Profile: []byte{1}}
	honest := s.set != nil && lie == 0
	if s.set != nil {
		req.Digest = s.set.Digest
		switch lie {
		case 0:
			req.Profile = h.adopt(s.owner, s.set, s.intent)
		case 1:
			req.Profile = h.adopt(s.owner, s.set, s.intent)
			req.Digest = certstore.Digest{1}.String()
		case 2:
			all := h.store.Statements() // one that is no profile: its own, which is there by now, would be right
			other := slices.IndexFunc(all, func(st *certstore.Statement) bool { return st.Kind() != certstore.KindProfile })
			encoded, err := all[other].MarshalBinary()
			require.NoError(h.tt, err)
			req.Profile = encoded
		case 3:
			req.Profile = h.adopt(s.owner, s.set, session.Intent{Name: s.intent.Name, Addresses: []string{"10.9.9.9:9"}})
		}
	}
	before := h.store.Snapshot().Digest()
	var reply stateReply
	h.next(s, hmacauth.EndpointDone, req, &reply)
	require.Equal(h.tt, honest, reply.State == stateJoined, "%+v", reply)
	if honest {
		s.over = &reply.outcome
		require.Equal(h.tt, session.StateJoined, h.state(s.offer))
		return
	}
	require.Equal(h.tt, before, h.store.Snapshot().Digest())
}

func (h *hall) state(id session.OfferID) session.State {
	j, _ := h.session.Lookup(id)
	return j.State
}

// adopt stores what was delivered, as a joiner does, and returns its profile.
func (h *hall) adopt(id *certstore.Identity, set *resultReply, intent session.Intent) []byte {
	store := fuzzStore(h.tt, id)
	defer store.Close()
	req := certstore.AdoptRequest{Addresses: intent.Addresses, Attributes: intent.Attributes}
	require.NoError(h.tt, errors.Join(readHex(req.Cluster[:], "cluster", set.Cluster), readHex(req.Digest[:], "digest", set.Digest)))
	for _, encoded := range set.Statements {
		st, err := certstore.ParseEncodedStatement(encoded)
		require.NoError(h.tt, err)
		req.Statements = append(req.Statements, st)
	}
	profile, err := store.Adopt(h.tt.Context(), req)
	require.NoError(h.tt, err)
	encoded, err := profile.MarshalBinary()
	require.NoError(h.tt, err)
	return encoded
}

// abort leaves.
func (h *hall) abort(s *spoken) {
	var reply stateReply
	h.next(s, hmacauth.EndpointAbort, abortRequest{Reason: "why\x00not"}, &reply)
	require.Equal(h.tt, stateRefused, reply.State)
	s.over = &reply.outcome
	require.NotEqual(h.tt, session.StateOffered, h.state(s.offer))
}

// decide is the person.
func (h *hall) decide(s *spoken, approve bool) {
	if !approve {
		if err := h.session.Deny(s.offer, "no"); err == nil {
			require.False(h.tt, h.approved[s.offer], "what was admitted is not denied")
		}
		return
	}
	before := h.state(s.offer)
	err := h.session.Approve(context.Background(), s.offer)
	if err != nil {
		return
	}
	require.Contains(h.tt, []session.State{session.StateOffered, session.StateAdmitted, session.StateJoined}, before)
	h.approved[s.offer] = true
	h.admitted[s.owner.Fingerprint()]++
}

// hostile sends with a handshake what must be refused.
func (h *hall) hostile(s *spoken, p *tape) {
	sequence := s.last.creds.Sequence
	m := s.sign(hmacauth.EndpointResult, sequence+1, []byte(`{"page":0}`))
	as := s.owner
	switch p.pick(8) {
	case 0: // a number was left out
		m = s.sign(hmacauth.EndpointResult, sequence+2+uint64(p.pick(250)), m.body)
	case 1: // an old number
		m = s.sign(hmacauth.EndpointResult, sequence, []byte(`{"page":1}`))
	case 2: // an old request, byte for byte
		if m = s.before; m.body == nil {
			return
		}
	case 3: // another certificate
		as = h.people[(slices.Index(h.people, as)+1)%len(h.people)]
	case 4: // a code of another handshake
		other := h.spoken[p.pick(len(h.spoken))]
		if other == s {
			return
		}
		m.creds.MAC = other.keys.SignRequest(hmacauth.Request{Handshake: s.creds.Handshake, Sequence: sequence + 1, Endpoint: m.endpoint, Body: m.body})
	case 5: // another body, endpoint or code
		m.body = append(bytes.Clone(m.body), ' ')
	case 6:
		m.endpoint = hmacauth.EndpointAbort
	case 7:
		m.creds.MAC[p.pick(32)] ^= byte(1 + p.pick(255))
	}
	h.refused(as, m.endpoint, m.creds, m.body)
}

// check holds what must be so after every step.
func (h *hall) check() {
	require.Equal(h.tt, 1+len(h.admitted), h.store.Snapshot().Len(), "members are those whom the person approved, and nobody else")
	require.Equal(h.tt, h.wrong, h.session.WrongProofs())
	table := &h.svc.handshakes
	require.Len(h.tt, table.byJoiner, len(table.proved))
	for _, s := range h.spoken {
		if _, proved := table.proved[s.creds.Handshake]; proved != (s.proved && !s.dead) {
			require.Fail(h.tt, "another handshake is proved than should be")
		}
	}
}

// step does what the tape says.
func (h *hall) step(p *tape) {
	op := p.pick(16)
	if op < 3 || len(h.spoken) == 0 {
		h.hello(h.people[p.pick(len(h.people))], op != 2)
		return
	}
	s := h.spoken[len(h.spoken)-1-p.pick(len(h.spoken))]
	live := s.proved && !s.dead
	switch {
	case !s.joinSent:
		names := []string{s.owner.Name(), "micro02"}
		h.join(s, session.Intent{Name: names[p.pick(2)], Addresses: []string{[]string{"10.0.0.2:9443", "10.0.0.3:9443"}[p.pick(2)]}})
	case !live:
		h.refused(s.owner, hmacauth.EndpointResult, s.sign(hmacauth.EndpointResult, s.last.creds.Sequence+1, []byte(`{"page":0}`)).creds, []byte(`{"page":0}`))
	case op < 6:
		h.result(s)
	case op == 6:
		h.done(s, p.pick(4))
	case op == 7:
		h.done(s, 0)
	case op == 8 && p.pick(4) == 0:
		h.abort(s)
	case op == 9:
		require.Equal(h.tt, string(s.last.reply), string(h.verified(s, s.last)), "a repetition gets the same bytes")
	case op < 12:
		h.hostile(s, p)
	case op < 14:
		h.decide(s, true)
	case op == 14 && p.pick(3) == 0:
		h.decide(s, false)
	case op == 15 && p.pick(8) == 0:
		h.session.Close(nil)
	}
}

// FuzzHandshakes lets three joiners say anything in any order, with right codes and wrong ones, several handshakes each, while the
// person approves, denies and ends the session. What comes out of turn, twice, from another certificate, or with another code gets the
// refusal and changes nothing, and so does a late proof; a repetition gets the same bytes; only what was approved is
// admitted; and every wrong proof counts.
func FuzzHandshakes(f *testing.F) {
	f.Add([]byte{0, 0, 3, 0, 0, 0, 12, 0, 3, 0, 7, 0, 9, 0})                                     // a join, and its last request again
	f.Add([]byte{0, 0, 0, 0, 3, 1, 0, 0, 3, 0, 0, 0, 3, 1, 3, 0, 12, 0, 3, 0, 6, 0, 1, 6, 0, 2}) // two attempts of one joiner
	f.Add([]byte{0, 0, 0, 0, 3, 0, 0, 0, 3, 1, 0, 0})                                            // the older one proves itself later
	f.Add([]byte{0, 0, 3, 0, 1, 0, 0, 1, 3, 0, 1, 0, 12, 0, 12, 1, 3, 1, 14, 1, 0, 3, 1})        // two who claim one name
	f.Add([]byte{2, 0, 3, 0, 2, 1, 3, 0, 0, 2, 3, 0, 0, 0, 10, 0, 0, 5, 10, 0, 3, 10, 0, 4, 1})  // wrong proofs, and attacks on a right one
	f.Add([]byte{0, 0, 3, 0, 0, 0, 12, 0, 15, 0, 0, 0, 0, 3, 0, 7, 0, 8, 0, 0})                  // the session ends in between
	var people []*certstore.Identity
	f.Fuzz(func(tt *testing.T, data []byte) {
		synctest.Test(tt, func(tt *testing.T) { // in which a session that is over is not remembered for a minute
			for _, name := range []string{"micro01", "micro02", "micro03", "micro04"}[len(people):] {
				people = append(people, fuzzIdentity(tt, name)) // once, at a time that all bubbles have
			}
			h := newHall(tt, people[0], people[1:])
			defer h.close()
			for p := (&tape{data[:min(len(data), longestTape)]}); p.more(); {
				h.step(p)
				h.check()
			}
		})
	})
}
