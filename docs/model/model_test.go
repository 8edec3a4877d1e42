package model_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
	faithful     bool     // he passes on, repeats, holds back and redirects, and changes nothing
	states       int      // that must be reached at least
	joins        bool     // and one of them with a finished join
}

type initiatorPlan struct{ name, secret string }

type joinerPlan struct {
	label, name, secret string
	pinned              string // whose fingerprint it expects; empty: whoever proves the secret
}

const (
	right = "the passphrase of the session"
	old   = "an old passphrase that leaked"
)

// scenarios are what is explored, with the bound of a level: 0 for every run of the tests, 1 for a minute, 2 for an afternoon.
func scenarios(level int) []scenario {
	full, more := level > 0, level/2
	a, b := initiatorPlan{"a", right}, joinerPlan{"b", "b", right, ""}
	all := []scenario{
		{
			name: "middle", initiators: []initiatorPlan{a}, joiners: []joinerPlan{b}, certificates: []string{"e"},
			secrets: []string{old}, approve: []string{"b"}, handshakes: 1 + more, tries: 1, requests: 3 + more, direct: true, states: 109, joins: true,
		},
		{
			name: "keys", initiators: []initiatorPlan{a}, joiners: []joinerPlan{b}, certificates: []string{"a", "b", "e"},
			approve: []string{"b"}, handshakes: 1 + more, tries: 1, requests: 3 + more, extensions: full, giveUp: full, states: 175, joins: true,
		},
		{
			name: "insider", initiators: []initiatorPlan{a}, joiners: []joinerPlan{{"b", "b", right, "a"}}, certificates: []string{"e"},
			secrets: []string{right}, approve: []string{"b"}, handshakes: 1 + more, tries: 1, requests: 2 + more, direct: true, states: 220, joins: true,
		},
		{
			name: "roles", initiators: []initiatorPlan{a}, joiners: []joinerPlan{{"a", "a", right, ""}}, certificates: []string{"a", "b"},
			approve: []string{"a", "b"}, handshakes: 1 + more, tries: 1, requests: 2 + more, faithful: !full, giveUp: full, direct: true, states: 8,
		},
		{
			name: "twice", initiators: []initiatorPlan{a}, joiners: []joinerPlan{b, {"b again", "b", right, ""}}, certificates: []string{"a", "b"},
			approve: []string{"b"}, handshakes: 2, tries: 1, requests: 1 + more, faithful: true, giveUp: level > 1, states: 285,
		},
	}
	if full {
		all = append(all, scenario{
			name: "two initiators", initiators: []initiatorPlan{a, {"c", right}}, joiners: []joinerPlan{b}, certificates: []string{"a", "b", "c"},
			approve: []string{"b"}, handshakes: 1 + more, tries: 1, requests: 1 + more, faithful: true, states: 249,
		})
	}
	return all
}

func TestNoAttack(t *testing.T) {
	level := 0
	if text := os.Getenv("MICROTRUST_MODEL"); text != "" {
		var err error
		level, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	machines := newCast(t)
	for _, plan := range scenarios(level) {
		t.Run(plan.name, func(t *testing.T) {
			t.Parallel()
			e := &explorer{t: t, plan: &plan, cast: machines, seen: map[string]bool{}}
			e.run()
			t.Logf("%d states, %d actions in %d worlds, at most %d steps", len(e.seen), e.steps, e.worlds, e.longest)
			if e.broken != "" {
				t.Fatalf("an attack: %s\n  %s", e.broken, strings.Join(e.attack, "\n  "))
			}
			require.GreaterOrEqual(t, len(e.seen), plan.states, "states")
			require.Equal(t, plan.joins, e.joined, "a join was finished")
		})
	}
}
