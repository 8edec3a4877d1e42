package model_test

import (
	"os"
	"strings"
	"testing"
)

// scenario is who is there, and the bound.
type scenario struct {
	name         string
	initiators   []initiatorPlan
	joiners      []joinerPlan
	certificates []string // that the attacker can show: his own, and those of machines whose keys he has
	secrets      []string // that he knows
	approve      []string // whose fingerprints the people at the initiators expect
	handshakes   int      // that he begins with each initiator
	tries        int      // handshakes of one join
	requests     int      // signed requests of a joiner's handshake that are answered
	direct       bool     // joiners may also reach an initiator undisturbed
	giveUp       bool     // people at the joiners may give up
	extensions   bool     // the attacker extends what he passes on
	states       int      // at least
}

type initiatorPlan struct{ name, secret string }

type joinerPlan struct {
	label, name, secret string
	pinned              string // whose fingerprint it expects; empty: whoever proves the secret
}

func (s *scenario) knows(secret string) bool {
	for _, known := range s.secrets {
		if known == secret {
			return true
		}
	}
	return false
}

const (
	right = "the passphrase of the session"
	old   = "an old passphrase that leaked"
)

// scenarios are explored one by one. With full, the bound is larger.
func scenarios(full bool) []scenario {
	more := 0
	if full {
		more = 1
	}
	a, b := initiatorPlan{"a", right}, joinerPlan{"b", "b", right, ""}
	return []scenario{
		{
			name: "middle", initiators: []initiatorPlan{a}, joiners: []joinerPlan{b}, certificates: []string{"e"},
			secrets: []string{old}, approve: []string{"b"}, handshakes: 1 + more, tries: 1, requests: 3 + more, direct: true, giveUp: true,
		},
		{
			name: "keys", initiators: []initiatorPlan{a}, joiners: []joinerPlan{b}, certificates: []string{"a", "b", "e"},
			approve: []string{"b"}, handshakes: 1 + more, tries: 1, requests: 3 + more, giveUp: full, extensions: full,
		},
	}
}

func TestNoAttack(t *testing.T) {
	machines := newCast(t)
	for _, plan := range scenarios(os.Getenv("MICROTRUST_MODEL") != "") {
		t.Run(plan.name, func(t *testing.T) {
			e := &explorer{t: t, plan: &plan, cast: machines, seen: map[string]bool{}}
			e.run()
			t.Logf("%d states, %d actions in %d worlds, at most %d steps", len(e.seen), e.steps, e.worlds, e.longest)
			if e.broken != "" {
				t.Fatalf("an attack: %s\n  %s", e.broken, strings.Join(e.attack, "\n  "))
			}
			if len(e.seen) < plan.states {
				t.Fatalf("fewer states than %d", plan.states)
			}
		})
	}
}
