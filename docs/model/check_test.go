package model_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// violated notes that a property does not hold.
func (w *world) violated(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
	}
}

// deliver gives an initiator a signed request, and judges what becomes of it.
func (w *world) deliver(h *handshake, endpoint string, c hmacauth.Credentials, body []byte) {
	counted := h.at.session.WrongProofs()
	a := w.send(h.at, h.cert, endpoint, hmacauth.FormatAuthorization(c), body)
	w.settle()
	counted = h.at.session.WrongProofs() - counted
	fits := endpoint == hmacauth.EndpointJoin && c.HasShare()
	switch {
	case fmt.Sprintf("%x", c.Handshake) != h.reply.Handshake:
		if a.status == 200 || counted != 0 {
			w.violated("%s took a message of another handshake on a connection of %s", h.at.name, h.cert)
		}
	case h.status == "dropped":
		if a.status == 200 || counted != 0 {
			w.violated("a handshake is verified twice")
		}
	case a.status != 200 && h.status == "open" && fits:
		h.status, h.insider = "dropped", nil
		t := w.partner(h)
		isRight := t != nil && t.find(endpoint, c, body) == 0 && t.sent[0].creds.Share == c.Share
		if isRight && !w.overtaken(h) {
			w.violated("%s refused the proof of %s", h.at.name, t.of.label)
		}
		if isWrong := !isRight && c.Share != shareOf(h.reply.Share); (counted == 1) != isWrong {
			w.violated("a proof counts %d times, and is wrong: %v", counted, isWrong)
		}
	case a.status != 200 && h.status == "proved" && h.by != nil && w.due(h, endpoint, c, body):
		w.violated("%s refused the next request of %s", h.at.name, h.by.of.label)
	case counted != 0:
		w.violated("what is no wrong proof is counted")
	case a.status == 200:
		w.accepted(h, endpoint, c, body, a)
	}
}

// due reports whether a request is the next one of a handshake.
func (w *world) due(h *handshake, endpoint string, c hmacauth.Credentials, body []byte) bool {
	return !w.overtaken(h) && h.by.find(endpoint, c, body) >= 0 && c.Sequence == h.by.sent[h.turn].creds.Sequence+1
}

// overtaken reports whether the joiner has proved itself in a handshake that began later.
func (w *world) overtaken(h *handshake) bool {
	n := slices.Index(h.at.handshakes, h)
	return slices.ContainsFunc(h.at.handshakes[n+1:], func(later *handshake) bool { return later.cert == h.cert && later.status == "proved" })
}

// find returns which of the joiner's requests this is, or -1.
func (t *try) find(endpoint string, c hmacauth.Credentials, body []byte) int {
	return slices.IndexFunc(t.sent, func(m *message) bool {
		return m.creds.Sequence == c.Sequence && m.mac == c.MAC && m.endpoint == endpoint && bytes.Equal(m.body, body)
	})
}

// accepted judges a request that an initiator has taken: an honest joiner must have sent it, in this very handshake, to this very
// initiator, and each request is processed once and in its order (docs/protocol.md, "Sequence numbers").
func (w *world) accepted(h *handshake, endpoint string, c hmacauth.Credentials, body []byte, a answer) {
	mac, err := hmacauth.ParseAuthenticationInfo(a.mac)
	if err != nil {
		w.violated("a reply without a code")
		return
	}
	state := w.delivered(h, a)
	reply := &message{label: fmt.Sprintf("reply %d of %s", len(h.replies)+1, h.label), mac: mac, body: a.body}
	if h.insider != nil {
		h.history = append(h.history, endpoint+": "+state)
		if h.status == "proved" {
			h.turn++
		}
		h.status, h.replies = "proved", append(h.replies, reply)
		return
	}
	n := -1
	if h.status == "open" {
		h.status, h.by = "proved", w.partner(h)
		h.at.history = append(h.at.history, h.label)
		h.turn = -1
	}
	if h.by != nil {
		n = h.by.find(endpoint, c, body)
	}
	switch {
	case h.by == nil:
		w.violated("%s took a proof of %s that nobody with that certificate made for %s", h.at.name, h.cert, h.at.name)
	case n < 0:
		w.violated("%s took a request in the name of %s that it did not send", h.at.name, h.by.of.label)
	case n == 0 && h.turn < 0 && h.by.sent[0].creds.Share != c.Share:
		w.violated("%s and %s do not agree about the joiner's share", h.at.name, h.by.of.label)
	case n == h.turn && (h.last.mac != mac || !bytes.Equal(h.last.body, a.body)):
		w.violated("%s did something twice for one request of %s", h.at.name, h.by.of.label)
	case n == h.turn: // a repetition, which changed nothing
	case h.turn >= 0 && c.Sequence <= h.by.sent[h.turn].creds.Sequence:
		w.violated("%s processed a request of %s again", h.at.name, h.by.of.label)
	default:
		reply.of = h.by.sent[n]
		h.turn, h.last, h.replies = n, reply, append(h.replies, reply)
		h.history = append(h.history, reply.of.label+": "+state)
	}
}

// partner is the joiner's handshake that agrees with this one about both certificates and everything that was said, and that no
// other one has for its partner.
func (w *world) partner(h *handshake) *try {
	for _, r := range w.runs {
		for _, t := range r.tries {
			if w.agree(h, t) && !slices.ContainsFunc(w.handshakes(), func(other *handshake) bool { return other.by == t }) {
				return t
			}
		}
	}
	return nil
}

func (w *world) agree(h *handshake, t *try) bool {
	return h.cert == t.of.plan.name && h.at.name == t.of.shown && h.at.name != h.cert &&
		bytes.Equal(h.request, t.request) && bytes.Equal(h.raw, t.raw)
}

// delivered checks that the member set is given to who was approved, and returns where the joiner stands (docs/protocol.md,
// "Outcomes").
func (w *world) delivered(h *handshake, a answer) string {
	var outcome struct{ State string }
	_ = json.Unmarshal(a.body, &outcome)
	if outcome.State == "approved" && !slices.Contains(h.at.approved, h.cert) {
		w.violated("%s gave the member set to %s, who was not approved", h.at.name, h.cert)
	}
	return outcome.State
}

// answerTo replies to a joiner's signed request, and judges whether it may believe that: the initiator whose certificate it was
// shown must have given this reply to this request.
func (w *world) answerTo(r *run, a answer, what string) {
	q, t := r.pending, r.now()
	w.reply(r, &a)
	if a.status != 200 {
		r.history = append(r.history, q.endpoint+": refused")
		return
	}
	refused := r.done && (errors.Is(r.err, trust.ErrReply) || errors.Is(r.err, trust.ErrRefused) || errors.Is(r.err, trust.ErrUnreachable))
	if refused {
		r.history = append(r.history, q.endpoint+": not believed")
		return
	}
	r.history = append(r.history, q.endpoint+": "+what)
	t.proved = true
	if t.keys != nil && t.secret == r.plan.secret && r.shown == "e" && r.plan.pinned == "" {
		return // the attacker is an initiator himself, and nobody asked for another one
	}
	for _, h := range w.handshakes() {
		if !w.agree(h, t) {
			continue
		}
		if slices.ContainsFunc(h.replies, func(m *message) bool {
			return m.of == q && bytes.Equal(m.body, a.body) && hmacauth.FormatAuthenticationInfo(m.mac) == a.mac
		}) {
			return
		}
	}
	w.violated("%s believed a reply to its %s that %s did not give to it", r.label, q.endpoint, r.shown)
}

// guesses checks that a proof for which the attacker made the share lets him test the one secret that he made it with, and no
// other one: that would be offline.
func (w *world) guesses(t *try) {
	if t.begun == nil || len(t.sent) == 0 {
		return
	}
	q := t.sent[0]
	request := hmacauth.Request{Handshake: q.creds.Handshake, Sequence: 1, Endpoint: q.endpoint, Body: q.body}
	public := w.public(t.of.shown, t.of.plan.name, t.request, t.reply)
	begun, share, err := hmacauth.NewInitiator(t.of.secret.Secret(), public, dice(t.zero))
	if err != nil || share != shareOf(t.reply.Share) || t.secret == t.of.plan.secret {
		return
	}
	keys, err := begun.Finish(q.creds.Share, hmacauth.HelloHash(t.request, t.raw))
	if err == nil && keys.VerifyRequest(request, q.mac) == nil {
		w.violated("the attacker can test any number of guesses against one proof of %s", t.of.label)
	}
}

// properties checks what holds in every state, whatever led there.
func (w *world) properties() {
	for _, i := range w.initiators {
		for m := range i.store.Snapshot().Members() {
			if name := w.cast.owner(m.Fingerprint); name != i.name && !slices.Contains(i.approved, name) {
				w.violated("%s is a member at %s, and was not approved", name, i.name)
			}
		}
		for _, j := range i.session.Joiners() {
			if j.State == session.StateJoined && !w.stored(w.cast.owner(j.Fingerprint), i) {
				w.violated("%s counts %s as joined, which has stored nothing", i.name, w.cast.owner(j.Fingerprint))
			}
		}
	}
	for _, r := range w.runs {
		w.ended(r)
		if wrong, want := r.attempts.Wrong(r.attempts.Name(r.secret.Secret().Tag)), w.unanswered(r); wrong < want {
			w.violated("%s sent %d proofs that nobody answered, and counts %d", r.label, want, wrong)
		}
	}
}

// stored reports whether a machine keeps the member set of an initiator's cluster.
func (w *world) stored(name string, i *initiator) bool {
	ours, _ := i.store.Cluster()
	for _, r := range w.runs {
		theirs, ok := r.store.Cluster()
		if r.plan.name == name && ok && theirs == ours {
			return true
		}
	}
	return false
}

// ended checks a join that is over: both sides agree on the result.
func (w *world) ended(r *run) {
	cluster, ok := r.store.Cluster()
	if !ok || w.initiatorNamed(r.plan.name) != nil {
		return
	}
	i := w.initiatorNamed(r.shown)
	switch {
	case i == nil:
		w.violated("%s stored a member set of %s", r.label, r.shown)
	case cluster != clusterOf(i.store) || !slices.Contains(i.approved, r.plan.name):
		w.violated("%s stored another member set than that of %s, or without its approval", r.label, r.shown)
	case r.done && r.err == nil && r.store.Snapshot().Digest() != i.store.Snapshot().Digest():
		w.violated("%s and %s have different member sets", r.label, r.shown)
	}
}

func clusterOf(s *certstore.Store) certstore.ClusterID {
	id, _ := s.Cluster()
	return id
}

func (w *world) initiatorNamed(name string) *initiator {
	for _, i := range w.initiators {
		if i.name == name {
			return i
		}
	}
	return nil
}

// unanswered is how many proofs of a machine no verified reply followed.
func (w *world) unanswered(r *run) (n int64) {
	for _, other := range w.runs {
		for _, t := range other.tries {
			if other.attempts == r.attempts && len(t.sent) > 0 && !t.proved {
				n++
			}
		}
	}
	return n
}
