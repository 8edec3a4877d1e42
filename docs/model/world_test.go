package model_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// cast are the identities of all machines, by name. They are made once, since keys take time.
type cast map[string]*certstore.Identity

func newCast(t *testing.T) cast {
	c := cast{}
	synctest.Test(t, func(t *testing.T) { // the calendar of the worlds
		for _, name := range []string{"a", "b", "c", "e"} {
			id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
			require.NoError(t, err)
			c[name] = id
		}
	})
	return c
}

// owner returns whose certificate has the fingerprint.
func (c cast) owner(f certstore.Fingerprint) string {
	for name, id := range c {
		if id.Fingerprint() == f {
			return name
		}
	}
	return "nobody"
}

// world is all machines at one moment, in a bubble of their own. What is honest in it is the library.
type world struct {
	t          *testing.T
	pause      func() // lets a moment pass in the bubble
	plan       *scenario
	cast       cast
	initiators []*initiator
	runs       []*run
	steps      []string // that led here
	broken     string   // the first property that does not hold
}

// initiator is an honest machine that has opened a session.
type initiator struct {
	name       string
	plan       initiatorPlan
	store      *certstore.Store
	server     *http.Server
	session    *session.Session
	lines      map[string]*line // of the attacker, by the certificate that he shows on it
	handshakes []*handshake
	approved   []string // whose certificates
	history    []string // the handshakes that were proved, in that order
}

// handshake is one that an initiator has begun, as the attacker and the properties see it.
type handshake struct {
	at      *initiator
	label   string
	cert    string // that the attacker showed
	request []byte // body of hello
	raw     []byte // body of its reply
	reply   helloReply
	status  string // open, dropped or proved
	by      *try   // whose proof was taken
	insider *hmacauth.JoinerKeys
	turn    int // how many of the requests of by were processed
	last    *message
	replies []*message
	history []string
}

// run is one call of trust.Join on an honest machine.
type run struct {
	label    string
	plan     joinerPlan
	store    *certstore.Store
	attempts *ratelimit.Attempts
	secret   hmacauth.Passphrase
	shown    string     // whose certificate it sees
	direct   *initiator // that it reaches undisturbed
	cancel   context.CancelFunc
	inbox    chan *message
	over     chan struct{}
	pending  *message // waits for its reply
	tries    []*try   // one for each hello
	gaveUp   bool
	done     bool
	result   trust.Result
	err      error
	history  []string
}

// try is one handshake of a joiner.
type try struct {
	of      *run
	request []byte // body of hello
	raw     []byte // body of the reply that it got
	reply   helloReply
	sent    []*message          // signed requests
	proved  bool                // a reply to its proof was accepted
	begun   *hmacauth.Initiator // of the attacker, where the share is his own
	secret  string              // under which he made it
	zero    bool                // it is the identity
	keys    *hmacauth.InitiatorKeys
}

// message is a signed request or reply.
type message struct {
	label    string
	endpoint string
	auth     string // header of a request
	creds    hmacauth.Credentials
	mac      hmacauth.MAC
	body     []byte
	of       *message // the request that a reply answers
	answer   chan *answer
}

func newWorld(t *testing.T, plan *scenario, c cast, pause func()) *world {
	w := &world{t: t, plan: plan, cast: c, pause: pause}
	for _, p := range plan.initiators {
		w.initiators = append(w.initiators, w.newInitiator(p))
	}
	for _, p := range plan.joiners {
		w.runs = append(w.runs, w.newRun(p))
	}
	return w
}

// newInitiator makes a machine with limits that never act: pace and time are no part of the model.
func (w *world) newInitiator(p initiatorPlan) *initiator {
	i := &initiator{name: p.name, plan: p, lines: map[string]*line{}, store: w.store(p.name)}
	require.NoError(w.t, i.store.Bootstrap(w.t.Context()))
	often := ratelimit.Rate{Events: 1e6, Burst: 1e6}
	service, err := trust.NewService(trust.Config{
		Store:     i.store,
		Limits:    trust.Limits{PollTime: time.Millisecond, HandshakeLife: time.Hour, RequestTime: time.Hour},
		Admission: ratelimit.AdmissionConfig{Source: often, Block: often, Total: often},
		Attempts:  ratelimit.AttemptsConfig{FreePerSource: 1000},
	})
	require.NoError(w.t, err)
	i.server = &http.Server{}
	require.NoError(w.t, service.Attach(i.server))
	i.session, err = service.Open(w.t.Context(), session.Config{Passphrase: passphrase(w.t, p.secret)})
	require.NoError(w.t, err)
	return i
}

func (w *world) newRun(p joinerPlan) *run {
	r := &run{label: p.label, plan: p, secret: passphrase(w.t, p.secret), inbox: make(chan *message, 8), over: make(chan struct{})}
	for _, other := range w.runs { // the same machine, later
		if other.plan.name == p.name {
			r.store, r.attempts = other.store, other.attempts
		}
	}
	for _, i := range w.initiators {
		if i.name == p.name {
			r.store = i.store
		}
	}
	var err error
	if r.store == nil {
		r.store = w.store(p.name)
	}
	if r.attempts == nil {
		r.attempts, err = ratelimit.NewAttempts(ratelimit.AttemptsConfig{FreePerSource: 1000})
		require.NoError(w.t, err)
	}
	return r
}

func (w *world) store(name string) *certstore.Store {
	s, err := certstore.OpenBackend(certstore.NewMemoryBackend(), w.cast[name])
	require.NoError(w.t, err)
	return s
}

func passphrase(t *testing.T, text string) hmacauth.Passphrase {
	p, err := hmacauth.ParsePassphrase(text)
	require.NoError(t, err)
	return p
}

// start begins a run, to which the attacker shows a certificate, unless it is connected to an initiator.
func (w *world) start(r *run, shown string, direct *initiator) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.shown, r.direct = cancel, shown, direct
	cfg := trust.JoinConfig{Store: r.store, Passphrase: r.secret, Attempts: r.attempts, Dial: w.dial(r)}
	if r.plan.pinned == "" {
		cfg.InsecureSkipFingerprint = true
	} else {
		cfg.Fingerprint = w.cast[r.plan.pinned].Fingerprint()
	}
	go func() {
		defer close(r.over)
		r.result, r.err = trust.Join(ctx, "192.0.2.1:1", cfg)
	}()
	w.settle()
}

// settle waits until every machine waits for the attacker, and takes in what they sent.
func (w *world) settle() {
	for n := range 4 {
		slept := n > 0
		synctest.Wait()
		waits := true
		for _, r := range w.runs {
			if r.shown == "" || r.done {
				continue
			}
			w.collect(r)
			waits = waits && (r.pending != nil || r.done || r.direct != nil && slept)
		}
		if waits {
			return
		}
		w.pause() // as a joiner does before it asks again
	}
}

func (w *world) collect(r *run) {
	for len(r.inbox) > 0 {
		m := <-r.inbox
		r.pending = m
		if m.endpoint == hmacauth.EndpointHello {
			r.tries = append(r.tries, &try{of: r, request: m.body})
			continue
		}
		now := r.now()
		m.label = r.label + "'s " + m.endpoint + " " + string('0'+rune(m.creds.Sequence))
		if n := len(r.tries); n > 1 {
			m.label += " of its second handshake"
		}
		now.sent = append(now.sent, m)
	}
	select {
	case <-r.over:
		r.done, r.pending = true, nil
	default:
	}
}

// now returns the handshake that the run is in.
func (r *run) now() *try {
	if len(r.tries) == 0 {
		return nil
	}
	return r.tries[len(r.tries)-1]
}

// outcome says how a run ended.
func (r *run) outcome() string {
	switch {
	case !r.done:
		return "runs"
	case r.err == nil:
		return "joined"
	}
	for _, kind := range []error{trust.ErrUnconfirmed, trust.ErrReply, trust.ErrRefused, trust.ErrNoSession, trust.ErrMemberSet, trust.ErrUnreachable} {
		if errors.Is(r.err, kind) {
			return kind.Error()
		}
	}
	return "failed"
}

// end stops everything, so that the bubble can end.
func (w *world) end() {
	for _, r := range w.runs {
		if r.shown != "" {
			r.cancel()
		}
	}
	for _, i := range w.initiators {
		i.session.Close(nil)
		for _, l := range i.lines {
			l.close()
		}
	}
	for _, r := range w.runs {
		if r.shown != "" {
			<-r.over
		}
	}
	for _, i := range w.initiators {
		i.server.Close()
	}
}
