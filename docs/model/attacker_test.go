package model_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// action is one thing that can happen next. Its name says it, and is the same in every world that has gone through the same
// steps.
type action struct {
	name string
	do   func()
}

// actions is all that the attacker, and the people at the machines, can do now. What the attacker says is put together from
// what he knows: everything that was said, his own shares under every secret that he has, his keys and certificates.
func (w *world) actions() (all []action) {
	for _, i := range w.initiators {
		for _, h := range i.handshakes {
			all = append(all, w.requestsTo(h)...)
		}
	}
	for _, r := range w.runs {
		if r.pending == nil || len(r.tries) > w.plan.tries || r.pending.creds.Sequence > uint64(w.plan.requests) {
			continue
		}
		if r.pending.endpoint == hmacauth.EndpointHello {
			all = append(all, w.repliesToHello(r)...)
		} else {
			all = append(all, w.repliesTo(r)...)
		}
	}
	return append(all, slices.Concat(w.hellos(), w.people())...)
}

// people start joins, give them up, and decide over offers by the fingerprint.
func (w *world) people() (all []action) {
	for n, r := range w.runs {
		begun := r.shown != "" || r.direct != nil
		earlier := n > 0 && w.runs[n-1].plan.name == r.plan.name && !w.runs[n-1].done
		switch {
		case !begun && !earlier:
			for _, name := range w.plan.certificates {
				all = append(all, action{r.label + " joins, and is shown the certificate of " + name, func() { w.start(r, name, nil) }})
			}
			for _, i := range w.initiators {
				if w.plan.direct {
					all = append(all, action{r.label + " joins " + i.name + ", undisturbed", func() { w.start(r, i.name, i) }})
				}
			}
		case begun && !r.done && !r.gaveUp && w.plan.giveUp && r.direct == nil && len(r.now().sent) > 0:
			all = append(all, action{r.label + "'s person gives up", func() {
				r.gaveUp = true
				r.cancel()
				r.pending = nil
				w.settle()
			}})
		}
	}
	for _, i := range w.initiators {
		for _, j := range i.session.Joiners() {
			name := w.cast.owner(j.Fingerprint)
			if j.State != session.StateOffered {
				continue
			}
			if slices.Contains(w.plan.approve, name) {
				all = append(all, action{i.name + "'s person approves the fingerprint of " + name, func() { w.approve(i, j) }})
			} else {
				all = append(all, action{i.name + "'s person denies the fingerprint of " + name, func() { _ = i.session.Deny(j.ID, ""); w.settle() }})
			}
		}
	}
	return all
}

func (w *world) approve(i *initiator, j session.Joiner) {
	if i.session.Approve(w.t.Context(), j.ID) == nil {
		i.approved = append(i.approved, w.cast.owner(j.Fingerprint))
	}
	w.settle()
}

// hellos begin handshakes with the initiators, on connections with each certificate, with the body of each joiner's hello, one
// of the attacker's own, and one that is extended (docs/protocol.md, "hello").
func (w *world) hellos() (all []action) {
	own := encode(w, map[string]string{"protocol": hmacauth.Protocol, "nonce": hex.EncodeToString(make([]byte, 16)), "selector": ""})
	for _, i := range w.initiators {
		if len(i.handshakes) == w.plan.handshakes {
			continue
		}
		for _, cert := range w.plan.certificates {
			var bodies []named[[]byte]
			if len(w.plan.secrets) > 0 { // for a proof of his own
				bodies = append(bodies, named[[]byte]{"a hello of the attacker", own})
			}
			for _, r := range w.runs {
				for n, t := range r.tries {
					label := r.label + "'s hello"
					if n > 0 {
						label += " " + number(n+1)
					}
					bodies = append(bodies, named[[]byte]{label, t.request})
					if w.plan.extensions {
						bodies = append(bodies, named[[]byte]{label + " with an extension", extend(t.request)})
					}
				}
			}
			for _, body := range bodies {
				all = append(all, action{i.name + " gets " + body.name + " from " + cert, func() { w.hello(i, cert, body.name, body.value) }})
			}
		}
	}
	return all
}

type named[T any] struct {
	name  string
	value T
}

func extend(body []byte) []byte {
	return slices.Concat(body[:len(body)-1], []byte(`,"ext":"more"}`))
}

func (w *world) hello(i *initiator, cert, what string, body []byte) {
	a := w.send(i, cert, hmacauth.EndpointHello, "", body)
	if a.status != 200 {
		return
	}
	h := &handshake{at: i, cert: cert, request: body, raw: a.body, status: "open", label: i.name + "'s handshake " + number(len(i.handshakes)+1)}
	require.NoError(w.t, json.Unmarshal(a.body, &h.reply))
	h.history = []string{cert + " " + what}
	i.handshakes = append(i.handshakes, h)
}

// public is what both sides of a handshake know, as somebody with these views of it sees it.
func (w *world) public(initiator, joiner string, request []byte, reply helloReply) hmacauth.Handshake {
	var hello struct{ Nonce, Selector string }
	require.NoError(w.t, json.Unmarshal(request, &hello))
	p := hmacauth.Handshake{
		Initiator: w.cast[initiator].Fingerprint(), Joiner: w.cast[joiner].Fingerprint(), Selector: hello.Selector,
	}
	for _, f := range []struct {
		into []byte
		text string
	}{{p.Session[:], reply.Session}, {p.ID[:], reply.Handshake}, {p.NonceJoiner[:], hello.Nonce}, {p.NonceInitiator[:], reply.Nonce}} {
		b, err := hex.DecodeString(f.text)
		require.NoError(w.t, err)
		copy(f.into, b)
	}
	return p
}

// dice are the attacker's scalars: one, and zero, which makes his share the identity.
func dice(zero bool) *bytes.Reader {
	if zero {
		return bytes.NewReader(make([]byte, 64))
	}
	return bytes.NewReader(bytes.Repeat([]byte{7}, 64))
}

func shareOf(text string) (s hmacauth.Share) {
	b, _ := hex.DecodeString(text)
	copy(s[:], b)
	return s
}

// repliesToHello are the replies that the attacker can make: that of each handshake which an initiator has begun, his own, and
// these with one part from elsewhere.
func (w *world) repliesToHello(r *run) (all []action) {
	bases := []named[helloReply]{}
	for _, h := range w.handshakes() {
		bases = append(bases, named[helloReply]{"that of " + h.label, h.reply})
	}
	own := helloReply{Handshake: pattern(16, 1), Session: pattern(16, 2), Nonce: pattern(16, 3)}
	for _, i := range w.initiators {
		own.Session = hex.EncodeToString(idOf(i))
	}
	for _, base := range bases {
		all = append(all, w.replyToHello(r, base.name, base.value, "", false))
		if w.plan.faithful {
			continue
		}
		for _, part := range w.parts(own) {
			changed := base.value
			if part.value(&changed); changed == base.value {
				continue
			}
			all = append(all, w.replyToHello(r, base.name+" with "+part.name, changed, "", false))
		}
	}
	if w.plan.faithful {
		return all
	}
	bases = append(bases, named[helloReply]{"one of the attacker", own})
	for n, base := range bases {
		if n > 0 && n < len(bases)-1 {
			continue // one handshake's ids are as good as another's for keys of his own
		}
		for _, secret := range w.plan.secrets {
			all = append(all, w.replyToHello(r, base.name+" with a share of the attacker under "+secret, base.value, secret, false))
		}
		all = append(all, w.replyToHello(r, base.name+" with the identity as share", base.value, "whatever", true))
	}
	return all
}

func idOf(i *initiator) []byte { id := i.session.ID(); return id[:] }

func pattern(n int, b byte) string { return hex.EncodeToString(bytes.Repeat([]byte{b}, n)) }

// parts change one part of a reply to hello.
func (w *world) parts(own helloReply) []named[func(*helloReply)] {
	all := []named[func(*helloReply)]{
		{"another session", func(r *helloReply) { r.Session = pattern(16, 2) }},
		{"another nonce", func(r *helloReply) { r.Nonce = own.Nonce }},
		{"another handshake id", func(r *helloReply) { r.Handshake = own.Handshake }},
		{"an extension", func(r *helloReply) { r.Ext = "more" }},
	}
	for _, h := range w.handshakes() {
		all = append(all, named[func(*helloReply)]{"the share of " + h.label, func(r *helloReply) { r.Share = h.reply.Share }})
	}
	for _, r := range w.runs {
		for _, t := range r.tries {
			if len(t.sent) > 0 {
				share := t.sent[0].creds.Share
				all = append(all, named[func(*helloReply)]{"the share of " + r.label, func(r *helloReply) { r.Share = hex.EncodeToString(share[:]) }})
			}
		}
	}
	return all
}

// replyToHello is one reply; with a secret, the share in it is the attacker's own.
func (w *world) replyToHello(r *run, what string, reply helloReply, secret string, zero bool) action {
	return action{r.label + "'s hello is answered with " + what, func() {
		t := r.now()
		if secret != "" {
			begun, share, err := hmacauth.NewInitiator(passphrase(w.t, secret).Secret(), w.public(r.shown, r.plan.name, t.request, reply), dice(zero))
			if err == nil {
				t.begun, t.secret, t.zero = begun, secret, zero
			}
			reply.Share = hex.EncodeToString(share[:])
		}
		t.reply, t.raw = reply, encode(w, reply)
		r.history = append(r.history, "hello: "+what)
		w.reply(r, &answer{status: 200, body: t.raw})
		if t.begun != nil && len(t.sent) > 0 {
			var err error
			if t.keys, err = t.begun.Finish(t.sent[0].creds.Share, hmacauth.HelloHash(t.request, t.raw)); err != nil {
				t.keys = nil
			}
		}
		w.guesses(t)
	}}
}

func (w *world) reply(r *run, a *answer) {
	m := r.pending
	r.pending = nil
	m.answer <- a
	w.settle()
}

func (w *world) handshakes() (all []*handshake) {
	for _, i := range w.initiators {
		all = append(all, i.handshakes...)
	}
	return all
}

// said are all signed requests of honest joiners so far.
func (w *world) said() (all []*message) {
	for _, r := range w.runs {
		for _, t := range r.tries {
			all = append(all, t.sent...)
		}
	}
	return all
}

// told are all signed replies of initiators so far.
func (w *world) told() (all []*message) {
	for _, h := range w.handshakes() {
		all = append(all, h.replies...)
	}
	return all
}
