package session_test

import (
	"context"
	"fmt"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
)

// exampleOffer is what a joiner that has proved the passphrase brings along.
func exampleOffer(name string) session.Offer {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	if err != nil {
		panic(err)
	}
	o, err := session.NewOffer(id.Certificate(), session.Intent{Name: name, Addresses: []string{name + ":9443"}})
	if err != nil {
		panic(err)
	}
	return o
}

func ExampleNew() {
	admit := func(_ context.Context, o session.Offer, _ session.Compared) error {
		fmt.Println("stored", o.Intent.Name)
		return nil
	}
	s, err := session.New(session.Config{Timeout: 5 * time.Minute, MaxJoiners: 1}, session.Hooks{Admit: admit})
	if err != nil {
		panic(err)
	}
	defer s.Close(nil)

	ctx := context.Background()
	if _, err := s.Propose(ctx, exampleOffer("micro02")); err != nil { // package trust does this, after the proof
		panic(err)
	}
	for ev := range s.Events(ctx) {
		fmt.Println(ev.Kind)
		switch ev.Kind {
		case session.EventOffered:
			err = s.Approve(ctx, ev.Joiner.ID)
		case session.EventAdmitted:
			err = s.Confirm(ev.Joiner.ID) // package trust does this, when the joiner says done
		}
		if err != nil {
			panic(err)
		}
	}
	fmt.Println(session.CodeOf(s.Cause()))
	// Output:
	// offered
	// stored micro02
	// approved
	// admitted
	// closed
	// joined
	// ended
	// limit-reached
}

func ExampleNew_policy() {
	cfg := session.Config{Policy: func(o session.Offer) session.Decision {
		if o.Intent.Name == "micro02" {
			return session.Accept
		}
		return session.Ask
	}}
	s, err := session.New(cfg, session.Hooks{Admit: func(context.Context, session.Offer, session.Compared) error { return nil }})
	if err != nil {
		panic(err)
	}
	defer s.Close(nil)
	for _, name := range []string{"micro02", "micro03"} {
		state, err := s.Propose(context.Background(), exampleOffer(name))
		fmt.Println(name, state, err)
	}
	// Output:
	// micro02 admitted <nil>
	// micro03 offered <nil>
}

func ExampleNewOffer() {
	cert := exampleOffer("micro02").Certificate
	_, err := session.NewOffer(cert, session.Intent{Name: "micro02", Services: map[string]string{"a b": "1"}})
	fmt.Println(err)
	// Output: session: invalid value: services["a b"]: the key must be 1 to 64 bytes of printable characters without spaces
}

func ExampleErrorFromCode() {
	told := &session.StoppedError{Reason: "wrong machine"}
	code, text := session.CodeOf(told), session.TextOf(told) // what the protocol carries
	fmt.Println(code, text)
	fmt.Println(session.ErrorFromCode(code, text))
	// Output:
	// stopped wrong machine
	// session: the session was stopped: "wrong machine"
}
