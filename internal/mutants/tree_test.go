package main

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	top        = "../.."
	minMutants = 60
)

// loadTree returns the mutants of this repository.
func loadTree(t *testing.T) []Mutant {
	t.Helper()
	mutants, err := loadLists(os.DirFS("list"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(mutants), minMutants)
	return mutants
}

// TestEveryMutantApplies: the old texts are in the tree, what comes out is Go, and the tests that are to notice are there.
func TestEveryMutantApplies(t *testing.T) {
	tree := os.DirFS(top)
	sources := map[string]string{} // the tests of a directory
	for _, m := range loadTree(t) {
		changed, err := apply(tree, m)
		if err != nil {
			t.Errorf("%s: %v: follow the code, or choose another sabotage", m.Name, err)
			continue
		}
		for name, text := range changed {
			_, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
			require.NoError(t, err, m.Name)
		}
		for _, test := range m.Tests {
			if _, ok := sources[test.Dir]; !ok {
				sources[test.Dir] = testSources(t, test.Dir)
			}
			parent, _, _ := strings.Cut(test.Name, "/")
			require.Regexp(t, `(?m)^func `+regexp.QuoteMeta(parent)+`\(`, sources[test.Dir], "%s: %s has no such test", m.Name, test.Dir)
		}
	}
}

func testSources(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(top + "/" + dir)
	require.NoError(t, err)
	var all strings.Builder
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), "_test.go") {
			text, err := os.ReadFile(top + "/" + dir + "/" + entry.Name())
			require.NoError(t, err)
			all.Write(text)
		}
	}
	return all.String()
}

// TestDocumentIsCurrent compares docs/mutants.md with the lists.
func TestDocumentIsCurrent(t *testing.T) {
	text, err := os.ReadFile(top + "/" + document)
	require.NoError(t, err)
	require.Equal(t, render(loadTree(t)), string(text), "make it anew: go run ./internal/mutants -write")
}
