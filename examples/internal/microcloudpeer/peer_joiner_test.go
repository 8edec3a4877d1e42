package microcloudpeer

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// joiner is a peer that wants to be let in.
type joiner struct {
	*machine
	shown *x509.Certificate // what the initiator's TLS showed
	ends  chan ending

	received atomic.Pointer[signed] // the newest confirmation, byte for byte
}

// ending is how a joiner's session ended: with the confirming intent, or with an error.
type ending struct {
	by  intent
	err error
}

// stopError is the end of a session by the initiator.
type stopError struct{ reason string }

func (e *stopError) Error() string { return "stopped: " + e.reason }

var (
	errOwnIntent    = errors.New("the confirmation is this machine's own intent")
	errNotTheShown  = errors.New("the confirming certificate is not the one that TLS showed")
	errNotConfirmed = errors.New("a session is open, and nobody confirmed")
)

// newJoiner makes a joiner with a listener of its own.
func newJoiner(name, passphrase string, services map[string]string) (*joiner, error) {
	m, err := newMachine(name, passphrase, services)
	if err != nil {
		return nil, err
	}
	j := &joiner{machine: m, ends: make(chan ending, 16)}
	return j, m.serve(j)
}

// meet asks an initiator for its name. It opens TLS without verifying and from then on accepts no other certificate.
func (j *joiner) meet(ctx context.Context, address string) (name string, err error) {
	if j.shown, err = j.shownBy(ctx, address); err != nil {
		return "", err
	}
	metadata, err := j.send(ctx, request{method: http.MethodGet, address: address, path: namePath, pin: j.shown})
	if err != nil {
		return "", err
	}
	var core struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(metadata, &core); err != nil {
		return "", err
	}
	if core.Name == "" {
		return "", errors.New("the initiator has no name")
	}
	return core.Name, nil
}

// offer sends this machine's intent to the initiator that it met.
func (j *joiner) offer(ctx context.Context, address string) error {
	body := j.intent()
	return j.offerWith(ctx, address, body, j.sign(body))
}

func (j *joiner) offerWith(ctx context.Context, address string, body []byte, header string) error {
	_, err := j.send(ctx, request{method: http.MethodPost, address: address, path: joinPath, pin: j.shown, body: body, authorization: header})
	return err
}

// wait returns the initiator's intent when it came, or a *stopError.
func (j *joiner) wait(ctx context.Context) (intent, error) {
	select {
	case end := <-j.ends:
		return end.by, end.err
	case <-ctx.Done():
		return intent{}, fmt.Errorf("%w: %w", errNotConfirmed, context.Cause(ctx))
	}
}

// withdraw ends the session from this side, over mutual TLS.
func (j *joiner) withdraw(ctx context.Context, address, reason string) error {
	return j.sendStop(ctx, address, request{pin: j.shown, own: true}, reason)
}

func (m *machine) sendStop(ctx context.Context, address string, over request, reason string) error {
	body, err := json.Marshal(stopRequest{reason})
	if err != nil {
		return err
	}
	_, err = m.send(ctx, request{method: http.MethodPut, address: address, path: stopPath, pin: over.pin, own: over.own, body: body})
	return err
}

// ServeHTTP implements http.Handler.
func (j *joiner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET " + namePath:
		answer(w, map[string]string{"name": j.name})
	case "POST " + joinPath:
		by, err := j.confirmed(r)
		if err != nil {
			refuse(w, err)
		} else {
			answer(w, struct{}{})
		}
		j.ends <- ending{by, err}
	case "PUT " + stopPath:
		j.stopped(w, r)
	default:
		refuse(w, refusef(http.StatusNotFound, "not found"))
	}
}

// confirmed checks the initiator's intent.
func (j *joiner) confirmed(r *http.Request) (intent, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return intent{}, err
	}
	j.received.Store(&signed{body, r.Header.Get("Authorization")}) // before ends tells of it
	if err := checkHeader(j.passphrase, r.Header.Get("Authorization"), body); err != nil {
		return intent{}, err
	}
	var got intent
	if err := json.Unmarshal(body, &got); err != nil {
		return intent{}, err
	}
	leaf, err := got.leaf()
	if err != nil {
		return intent{}, err
	}
	if leaf.Equal(j.certificate.Leaf) {
		return intent{}, errOwnIntent
	}
	if !leaf.Equal(j.shown) {
		return intent{}, errNotTheShown
	}
	return got, nil
}

// stopped takes a stop from the machine whose TLS certificate was shown.
func (j *joiner) stopped(w http.ResponseWriter, r *http.Request) {
	var stop stopRequest
	leaf := shownIn(r)
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&stop); err != nil || leaf == nil || j.shown == nil || !leaf.Equal(j.shown) {
		refuse(w, refusef(http.StatusForbidden, "not authorized"))
		return
	}
	answer(w, struct{}{})
	j.ends <- ending{err: &stopError{stop.Reason}}
}
