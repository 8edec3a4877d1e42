package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	top        = "../.."
	minMutants = 150
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
			if _, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		}
		for _, test := range m.Tests {
			if _, ok := sources[test.Dir]; !ok {
				sources[test.Dir] = testSources(t, test.Dir)
			}
			parent, _, _ := strings.Cut(test.Name, "/")
			if !regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(parent) + `\(`).MatchString(sources[test.Dir]) {
				t.Errorf("%s: there is no %s in %s", m.Name, test.Name, test.Dir)
			}
		}
	}
}

// TestEveryRoomHasMutants: a package of the library without one would be believed for no reason.
func TestEveryRoomHasMutants(t *testing.T) {
	sabotaged := map[string]bool{}
	for _, m := range loadTree(t) {
		for _, edit := range m.Edits {
			sabotaged[path.Dir(edit.File)] = true
		}
	}
	rooms := map[string]bool{}
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains(otherDirs(), name)) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") && path.Dir(name) != "." {
			rooms[path.Dir(name)] = true
		}
		return nil
	})
	require.NoError(t, err)
	for room := range rooms {
		if !sabotaged[room] {
			t.Errorf("%s: no mutant sabotages it", room)
		}
	}
	require.GreaterOrEqual(t, len(rooms), 18)
}

// otherDirs hold what users do not link: examples, and what tests and whoever works on the library use.
func otherDirs() []string {
	return []string{
		"examples", "docs", "certstore/certstoretest", "internal/abuse", "internal/lantest", "internal/mutants", "internal/redact/redacttest",
		"trust/trusttest",
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
	require.True(t, render(loadTree(t)) == string(text), "make %s anew: go run ./internal/mutants -write", document)
}
