package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const goodEntry = "a: Something is left out.\nedit p/p.go\n- one\n- two\n+ three\n- four\nedit p/q.go\n- \tfive\n+\n+ six\n" +
	"test p TestP\ntest docs/model TestM/sub\n"

func TestListsAreRead(t *testing.T) {
	mutants, err := parseList("room", "# What the room is.\n\n"+goodEntry+"\n\nb: Another.\nedit p/p.go\n- x\ntest p TestP\n")
	require.NoError(t, err)
	require.Len(t, mutants, 2)
	require.Equal(t, Mutant{
		Name:  "room/a",
		Text:  "Something is left out.",
		Edits: []Edit{{"p/p.go", "one\ntwo", "three"}, {"p/p.go", "four", ""}, {"p/q.go", "\tfive", "\nsix"}},
		Tests: []Test{{"p", "TestP"}, {"docs/model", "TestM/sub"}},
	}, mutants[0])
	require.Equal(t, "room/b", mutants[1].Name)

	others := forModel(mutants, false)
	require.Len(t, others, 2)
	require.Equal(t, []Test{{"p", "TestP"}}, others[0].Tests)
	negative := forModel(mutants, true)
	require.Len(t, negative, 1)
	require.Equal(t, []Test{{"docs/model", "TestM/sub"}}, negative[0].Tests)
}

func TestListsAreRefused(t *testing.T) {
	for reason, text := range map[string]string{
		"no sentence":            "a\nedit p\n- x\ntest p T\n",
		"a name of two words":    "a b: Text.\nedit p\n- x\ntest p T\n",
		"a name with a room":     "r/a: Text.\nedit p\n- x\ntest p T\n",
		"no edit":                "a: Text.\ntest p T\n",
		"no test":                "a: Text.\nedit p\n- x\n",
		"a name twice":           goodEntry + "\n" + goodEntry,
		"no file":                "a: Text.\n- x\ntest p T\n",
		"a new text alone":       "a: Text.\nedit p\n+ x\ntest p T\n",
		"a new text after tests": "a: Text.\nedit p\n- x\ntest p T\n+ y\n",
		"an unknown line":        "a: Text.\nedit p\n- x\ntest p T\nif\n",
		"a test without a place": "a: Text.\nedit p\n- x\ntest T\n",
	} {
		_, err := parseList("room", text)
		require.ErrorIs(t, err, errList, reason)
	}
}
