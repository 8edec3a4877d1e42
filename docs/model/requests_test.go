package model_test

import (
	"bytes"
	"encoding/hex"
	"slices"

	"github.com/microtrust/microtrust/hmacauth"
)

// requestsTo are the signed requests that the attacker can send to a handshake: those of honest joiners, as they are and with
// one part changed, and those that he can sign himself (docs/protocol.md, "Signed messages", "Headers").
func (w *world) requestsTo(h *handshake) (all []action) {
	var id [16]byte
	b, _ := hex.DecodeString(h.reply.Handshake)
	copy(id[:], b)
	add := func(what, endpoint string, c hmacauth.Credentials, body []byte) {
		all = append(all, action{h.label + " gets " + what, func() { w.deliver(h, endpoint, c, body) }})
	}
	for _, m := range w.said() {
		c := m.creds
		if c.Handshake == id {
			add(m.label, m.endpoint, c, m.body)
		} else {
			c.Handshake = id
			add(m.label+" under its own id", m.endpoint, c, m.body)
			if other := h.at.with(m.creds.Handshake); other == nil || other.cert != h.cert {
				add(m.label+" as it is", m.endpoint, m.creds, m.body)
			}
		}
		if h.status == "dropped" || w.plan.faithful {
			continue // whatever it is, it comes too late
		}
		for _, changed := range w.changes(h, m) {
			c, body, endpoint := m.creds, m.body, m.endpoint
			changed.value(&c, &body, &endpoint)
			c.Handshake = id
			add(m.label+" with "+changed.name, endpoint, c, body)
		}
	}
	return append(all, w.ownRequests(h, id)...)
}

// with returns the handshake with this id.
func (i *initiator) with(id [16]byte) *handshake {
	n := slices.IndexFunc(i.handshakes, func(h *handshake) bool { return h.reply.Handshake == hex.EncodeToString(id[:]) })
	if n < 0 {
		return nil
	}
	return i.handshakes[n]
}

type change = func(*hmacauth.Credentials, *[]byte, *string)

// changes alter one part of a request.
func (w *world) changes(h *handshake, m *message) []named[change] {
	all := []named[change]{
		{"the next number", func(c *hmacauth.Credentials, _ *[]byte, _ *string) { c.Sequence++ }},
		{"a code of zeros", func(c *hmacauth.Credentials, _ *[]byte, _ *string) { c.MAC = hmacauth.MAC{} }},
		{"the body of the attacker's intent", func(_ *hmacauth.Credentials, body *[]byte, _ *string) { *body = w.intent("e") }},
	}
	if m.endpoint == hmacauth.EndpointJoin {
		all = append(all, named[change]{"the initiator's share", func(c *hmacauth.Credentials, _ *[]byte, _ *string) { c.Share = shareOf(h.reply.Share) }})
	} else {
		for _, to := range []string{hmacauth.EndpointResult, hmacauth.EndpointDone, hmacauth.EndpointAbort} {
			if to != m.endpoint {
				all = append(all, named[change]{"the endpoint " + to, func(_ *hmacauth.Credentials, _ *[]byte, endpoint *string) { *endpoint = to }})
			}
		}
	}
	for _, r := range h.replies {
		all = append(all, named[change]{"code and body of the " + r.label, func(c *hmacauth.Credentials, body *[]byte, _ *string) { c.MAC, *body = r.mac, r.body }})
	}
	return all
}

// intent is the body of a join with this name.
func (w *world) intent(name string) []byte {
	return encode(w, map[string]any{"name": name, "addresses": []string{}, "services": map[string]string{}, "attributes": map[string]string{}})
}

// ownRequests are those that the attacker can sign himself, with a secret that he knows.
func (w *world) ownRequests(h *handshake, id [16]byte) (all []action) {
	switch h.status {
	case "open":
		for _, secret := range w.plan.secrets {
			for _, name := range []string{"e", "b"} {
				all = append(all, action{h.label + " gets the attacker's join under " + secret + " as " + name, func() {
					w.proveOwn(h, id, secret, w.intent(name))
				}})
			}
		}
	case "proved":
		if h.insider == nil || h.turn == w.plan.requests {
			return nil
		}
		for _, own := range []named[[]byte]{
			{hmacauth.EndpointResult, []byte(`{"page":0}`)},
			{hmacauth.EndpointAbort, []byte(`{"reason":""}`)},
		} {
			all = append(all, action{h.label + " gets the attacker's own " + own.name, func() {
				q := hmacauth.Request{Handshake: id, Sequence: uint64(h.turn) + 2, Endpoint: own.name, Body: own.value}
				w.deliver(h, own.name, hmacauth.Credentials{Handshake: id, Sequence: q.Sequence, MAC: h.insider.SignRequest(q)}, own.value)
			}})
		}
	}
	return all
}

func (w *world) proveOwn(h *handshake, id [16]byte, secret string, body []byte) {
	public := w.public(h.at.name, h.cert, h.request, h.reply)
	share, keys, err := hmacauth.Respond(passphrase(w.t, secret).Secret(), public, shareOf(h.reply.Share), hmacauth.HelloHash(h.request, h.raw), dice(false))
	if err != nil {
		return
	}
	q := hmacauth.Request{Handshake: id, Sequence: 1, Endpoint: hmacauth.EndpointJoin, Body: body}
	if secret == h.at.plan.secret && h.cert == "e" {
		h.insider = keys
	}
	w.deliver(h, q.Endpoint, hmacauth.Credentials{Handshake: id, Sequence: 1, Share: share, MAC: keys.SignRequest(q)}, body)
}

// repliesTo are the replies that the attacker can give to a signed request of an honest joiner: every reply that an initiator
// has signed, the request itself, bodies of one with the code of another, his own, and the strangers' refusal.
func (w *world) repliesTo(r *run) (all []action) {
	q, t := r.pending, r.now()
	add := func(what string, a answer) {
		all = append(all, action{q.label + " is answered with " + what, func() { w.answerTo(r, a, what) }})
	}
	if q.endpoint == hmacauth.EndpointAbort {
		add("a refusal", answer{status: 403})
		return all
	}
	var latest *message
	for _, m := range w.told() {
		latest = m
	}
	for _, m := range w.told() {
		add("the "+m.label, answer{200, hmacauth.FormatAuthenticationInfo(m.mac), m.body})
		if !bytes.Equal(m.body, latest.body) && !w.plan.faithful {
			add("the body of the "+m.label+" and the code of the "+latest.label, answer{200, hmacauth.FormatAuthenticationInfo(latest.mac), m.body})
		}
	}
	if latest != nil && !w.plan.faithful {
		denied := encode(w, map[string]string{"state": "refused", "code": "denied"})
		add("a denial and the code of the "+latest.label, answer{200, hmacauth.FormatAuthenticationInfo(latest.mac), denied})
	}
	add("itself", answer{200, hmacauth.FormatAuthenticationInfo(q.mac), q.body})
	pending := encode(w, map[string]any{"state": "pending", "name": "e", "cluster": pattern(32, 1), "expires": 600})
	if t.keys != nil && q.endpoint == hmacauth.EndpointJoin {
		request := hmacauth.Request{Handshake: q.creds.Handshake, Sequence: q.creds.Sequence, Endpoint: q.endpoint, Body: q.body}
		mac := t.keys.SignReply(request, q.mac, hmacauth.Reply{Status: 200, Body: pending})
		add("the attacker's own", answer{200, hmacauth.FormatAuthenticationInfo(mac), pending})
	}
	if !w.plan.faithful {
		add("a reply without a code", answer{200, "", pending})
	}
	if !w.plan.faithful && (w.plan.tries > len(r.tries) || !t.proved) {
		add("a refusal", answer{status: 403})
	}
	return all
}
