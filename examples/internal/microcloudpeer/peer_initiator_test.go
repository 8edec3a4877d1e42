package microcloudpeer

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// initiator is a peer that opened a session.
type initiator struct {
	*machine
	intents chan intent // of joiners, as they come
	stops   chan string // reasons that joiners gave
	traffic chan string // method and path of every request, dropped when nobody looks

	// reply is called before a new intent is answered, if it is set; false loses the answer.
	reply func(intent) bool

	received atomic.Pointer[signed] // the newest intent, byte for byte

	mu         sync.Mutex
	open       bool
	registered map[string]intent // by fingerprint
}

// newInitiator opens a session with a passphrase.
func newInitiator(name, passphrase string, services map[string]string) (*initiator, error) {
	m, err := newMachine(name, passphrase, services)
	if err != nil {
		return nil, err
	}
	i := &initiator{
		machine: m, intents: make(chan intent, 16), stops: make(chan string, 16), traffic: make(chan string, 256),
		open: true, registered: map[string]intent{},
	}
	return i, m.serve(i)
}

// ServeHTTP implements http.Handler.
func (i *initiator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := r.Method + " " + r.URL.Path
	select {
	case i.traffic <- route:
	default:
	}
	switch route {
	case "GET " + namePath:
		answer(w, map[string]string{"name": i.name})
	case "POST " + joinPath:
		i.join(w, r)
	case "PUT " + stopPath:
		i.stopped(w, r)
	default:
		refuse(w, refusef(http.StatusNotFound, "not found"))
	}
}

func (i *initiator) join(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, err)
		return
	}
	i.mu.Lock()
	open := i.open
	i.mu.Unlock()
	if !open {
		refuse(w, refusef(http.StatusBadRequest, "No active session"))
		return
	}
	i.received.Store(&signed{body, r.Header.Get("Authorization")}) // before intents tells of it
	if err := checkHeader(i.passphrase, r.Header.Get("Authorization"), body); err != nil {
		refuse(w, err)
		return
	}
	var got intent
	if err := json.Unmarshal(body, &got); err != nil {
		refuse(w, err)
		return
	}
	if err := i.compareServices(got); err != nil {
		refuse(w, err)
		return
	}
	if err := i.register(got); err != nil {
		refuse(w, err)
		return
	}
	i.intents <- got
	if i.reply != nil && !i.reply(got) {
		panic(http.ErrAbortHandler) // ends the connection
	}
	answer(w, struct{}{})
}

// compareServices requires every service of this machine, in the same version.
func (i *initiator) compareServices(got intent) error {
	var missing []string
	for name, want := range i.services {
		detected, ok := got.Services[name]
		if !ok {
			missing = append(missing, name)
		} else if detected != want {
			return refusef(http.StatusBadRequest, "Rejecting peer %q due to invalid %s version. (Want: %q, Detected: %q)", got.Name, name, want, detected)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return refusef(http.StatusBadRequest, "Rejecting peer %q due to missing services (%s)", got.Name, strings.Join(missing, ", "))
	}
	return nil
}

func (i *initiator) register(got intent) error {
	leaf, err := got.leaf()
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ok := i.registered[fingerprintOf(leaf)]; ok {
		return refusef(http.StatusBadRequest, "Failed to register join intent: Fingerprint already exists")
	}
	i.registered[fingerprintOf(leaf)] = got
	return nil
}

// stopped takes a stop from a joiner that proves the certificate of its intent.
func (i *initiator) stopped(w http.ResponseWriter, r *http.Request) {
	leaf := shownIn(r)
	i.mu.Lock()
	known := false
	if leaf != nil {
		_, known = i.registered[fingerprintOf(leaf)]
	}
	i.mu.Unlock()
	var stop stopRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&stop); err != nil || !known {
		refuse(w, refusef(http.StatusForbidden, "not authorized"))
		return
	}
	answer(w, struct{}{})
	i.stops <- stop.Reason
}

// confirm sends this machine's intent to a joiner, pinned to the certificate of the joiner's own.
func (i *initiator) confirm(ctx context.Context, to intent, own bool) error {
	body := i.intent()
	return i.confirmWith(ctx, to, own, body, i.sign(body))
}

func (i *initiator) confirmWith(ctx context.Context, to intent, own bool, body []byte, header string) error {
	pin, err := to.leaf()
	if err != nil {
		return err
	}
	_, err = i.send(ctx, request{method: http.MethodPost, address: to.Address, path: joinPath, pin: pin, own: own, body: body, authorization: header})
	return err
}

// stop ends a joiner's session.
func (i *initiator) stop(ctx context.Context, to intent, reason string) error {
	pin, err := to.leaf()
	if err != nil {
		return err
	}
	return i.sendStop(ctx, to.Address, request{pin: pin, own: true}, reason)
}
