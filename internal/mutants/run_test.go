package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	sumCode = "package p\n\n// Sum adds.\nfunc Sum(a, b int) int { return a + b }\n\n// Product multiplies.\nfunc Product(a, b int) int { return a * b }\n"
	sumTest = `package p

import "testing"

func TestSum(t *testing.T) {
	t.Run("small", func(t *testing.T) {
		if Sum(1, 2) != 3 {
			t.Fatal("no")
		}
	})
}

func TestNothing(t *testing.T) { Sum(1, 2) }

func TestSkipped(t *testing.T) { t.Skip() }

func TestBroken(t *testing.T) { t.Fatal("always") }
`
	sourceTest = `package n

import (
	"os"
	"testing"
)

func TestSource(t *testing.T) {
	if text, err := os.ReadFile("n.go"); err != nil || string(text) != "package n // as it is\n" {
		t.Fatal(string(text), err)
	}
}
`
)

// writeModule makes a module with a package p, and in n a module inside it. It returns its root.
func writeModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module m\n\ngo 1.26\n", "p/p.go": sumCode, "p/p_test.go": sumTest,
		"n/go.mod": "module n\n\ngo 1.26\n", "n/n.go": "package n // as it is\n", "n/n_test.go": sourceTest,
	} {
		writeFile(t, filepath.Join(root, name), text)
	}
	return root
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func sabotage(old, text string, tests ...string) Mutant {
	m := Mutant{Name: "p/" + old, Edits: []Edit{{"p/p.go", old, text}}}
	for _, name := range tests {
		m.Tests = append(m.Tests, Test{"p", name})
	}
	return m
}

// TestVerdicts: a real module, and the real go command.
func TestVerdicts(t *testing.T) {
	root := writeModule(t)
	for _, tt := range []struct {
		reason string
		mutant Mutant
		want   verdict
		detail string
	}{
		{"nobody looks", sabotage("a * b", "a", "TestSum"), survived, "TestSum"},
		{"one of two does not look", sabotage("a + b", "a - b", "TestSum", "TestNothing"), survived, "TestNothing"},
		{"no Go", sabotage("a + b", "a +", "TestSum"), doesNotCompile, ""},
		{"the text is gone", sabotage("a / b", "a", "TestSum"), doesNotApply, ""},
		{"the text is there twice", sabotage("int { return", "int { return 1+", "TestSum"), doesNotApply, ""},
		{"the text stays", sabotage("a + b", "a + b", "TestSum"), doesNotApply, ""},
		{"it is noticed", sabotage("a + b", "a - b", "TestSum"), caught, "p.TestSum/small"},
		{"it panics", sabotage("return a + b", `panic("no")`, "TestSum/small"), caught, "p.TestSum/small"},
		{"a module inside, and a test that reads the source", Mutant{
			Edits: []Edit{{"n/n.go", "as it is", "sabotaged"}}, Tests: []Test{{"n", "TestSource"}},
		}, caught, "n.TestSource"},
	} {
		found, err := try(t.Context(), root, tt.mutant)
		require.NoError(t, err, tt.reason)
		require.Equal(t, tt.want, found.verdict, "%s: %s", tt.reason, found.output)
		if tt.detail != "" {
			require.Contains(t, strings.Fields(found.detail), tt.detail, tt.reason)
		}
	}
	code, err := os.ReadFile(filepath.Join(root, "p/p.go"))
	require.NoError(t, err)
	require.Equal(t, sumCode, string(code), "the tree is as it was")
}

// TestMutantsAreMadeInACopy: of everything but the history.
func TestMutantsAreMadeInACopy(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, ".git", "HEAD"), "history")
	writeFile(t, filepath.Join(root, ".ci", "run"), "program")
	require.NoError(t, os.Chmod(filepath.Join(root, ".ci", "run"), 0o700))
	folder, err := copyTree(root)
	require.NoError(t, err)
	defer os.RemoveAll(folder)
	require.NoDirExists(t, filepath.Join(folder, ".git"))
	program, err := os.Stat(filepath.Join(folder, ".ci", "run"))
	require.NoError(t, err)
	require.NotZero(t, program.Mode()&0o100, "what can be run still can")

	before, err := replace(folder, map[string]string{".ci/run": "sabotaged"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{".ci/run": "program"}, before)
	text, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	require.NoError(t, err)
	require.Equal(t, "program", string(text), "the repository is as it was")
}

// TestTestsMustPassBefore: what fails anyway notices nothing.
func TestTestsMustPassBefore(t *testing.T) {
	root := writeModule(t)
	require.NoError(t, passBefore(t.Context(), root, []Mutant{sabotage("a + b", "a - b", "TestSum/small", "TestNothing")}))
	for _, name := range []string{"TestBroken", "TestSkipped", "TestAbsent", "TestSum/absent"} {
		require.Error(t, passBefore(t.Context(), root, []Mutant{sabotage("a + b", "a - b", name)}), name)
	}
}

// TestRunningOutOfTimeIsNoNotice: nothing is known of what the test would have said.
func TestRunningOutOfTimeIsNoNotice(t *testing.T) {
	found, err := readEvents([]byte(`{"Action":"run","Test":"TestA"}
{"Action":"output","Test":"TestA","Output":"panic: test timed out after 2m0s\n"}
{"Action":"fail"}
`))
	require.NoError(t, err)
	require.True(t, found.late)
	require.True(t, found.built)
}
