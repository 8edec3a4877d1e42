package microtrust_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	maxFileLines     = 450
	maxFunctionLines = 70
)

// exceptions maps what a check would find to the reason why it may stand.
type exceptions map[string]string

// finding is one thing that a check found: a key for exceptions, and a sentence.
type finding struct{ key, text string }

// hygieneCheck looks at one package. It returns what it found, and how many things it looked at.
type hygieneCheck func(*goPackage) (found []finding, looked int)

// except takes the excepted findings away and adds exceptions that were not needed or have no reason.
func except(found []finding, allowed exceptions) []string {
	var left []string
	needed := map[string]bool{}
	for _, f := range found {
		if _, ok := allowed[f.key]; ok {
			needed[f.key] = true
			continue
		}
		left = append(left, f.text)
	}
	for _, key := range slices.Sorted(maps.Keys(allowed)) {
		if !needed[key] {
			left = append(left, key+": the exception is not needed")
		}
		if allowed[key] == "" {
			left = append(left, key+": an exception without a reason")
		}
	}
	return left
}

func TestHygiene(t *testing.T) {
	packages := loadRepository(t)
	tests := []struct {
		rule    string
		check   hygieneCheck
		allowed exceptions
		minimum int
	}{
		{"every package says what it is", checkPackageComment, nil, 12},
		{"names say what is inside", checkNames, nil, 80},
		{"files are short", checkFileLength, longFiles, 80},
		{"functions are short", checkFunctionLength, longFunctions, 300},
		{"exported names are documented", checkExported, nil, 250},
		{"package variables do not change", checkVariables, packageVariables, 40},
		{"nothing runs at import", checkInit, nil, 300},
		{"nothing sleeps outside a bubble", checkSleep, sleeps, 80},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			var found []finding
			looked := 0
			for _, p := range packages {
				here, n := tt.check(p)
				found = append(found, here...)
				looked += n
			}
			for _, text := range except(found, tt.allowed) {
				t.Error(text)
			}
			t.Logf("looked at %d", looked)
			require.GreaterOrEqual(t, looked, tt.minimum, "looked at too little")
		})
	}
}

// TestVerificationIsReplacedInOnePlace: TLS's own verification is switched off once, beside the check that replaces it.
func TestVerificationIsReplacedInOnePlace(t *testing.T) {
	var places []string
	for _, p := range loadRepository(t) {
		places = append(places, insecureSkipVerify(p)...)
	}
	require.Len(t, places, 1, "InsecureSkipVerify in code: %v", places)
	require.Equal(t, "certstore", path.Dir(places[0]))
}

const goodSource = `// Package p is good.
package p

import "errors"

// ErrOne is returned by nobody.
var ErrOne = errors.New("p: one")

var _ error = (*T)(nil)

// T is a type.
type T struct {
	// A is a field.
	A int
	B int // B is another.
	c int
}

// Error says nothing.
func (t *T) Error() string { return "" }

// I is an interface.
type I interface {
	// M does nothing.
	M()
}

// The two.
const (
	X = 1
	Y = 2
)

type hidden struct{ Exported int }

func (hidden) Exported2() {}
`

const bubble = `package p_test

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBubble(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(time.Hour) }) }
`

func TestHygieneChecksRefuse(t *testing.T) {
	const head = "// Package p is here.\npackage p\n"
	sleeping := "package p_test\nimport clock \"time\"\nfunc nap() { clock.Sleep(clock.Hour) }\n"
	long := head + "\nfunc long() {\n" + strings.Repeat("\t_ = 1\n", maxFunctionLines) + "}\n"
	tests := []struct {
		reason     string
		check      hygieneCheck
		file, text string
		want       []string // keys
	}{
		{"no package comment", checkPackageComment, "doc.go", "package p\n", []string{"p"}},
		{"package comment elsewhere", checkPackageComment, "a.go", head, []string{"p"}},
		{"file without a meaning", checkNames, "utils.go", head, []string{"p/utils.go"}},
		{"test without a meaning", checkNames, "helpers_test.go", head, []string{"p/helpers_test.go"}},
		{"long file", checkFileLength, "a.go", head + strings.Repeat("\n", maxFileLines), []string{"p/a.go"}},
		{"long function", checkFunctionLength, "a.go", long, []string{"p/a.go:long"}},
		{"function", checkExported, "a.go", head + "func F() {}\n", []string{"p/a.go:F"}},
		{"method", checkExported, "a.go", head + "// T is.\ntype T int\nfunc (*T) M() {}\n", []string{"p/a.go:T.M"}},
		{"generic method", checkExported, "a.go", head + "// T is.\ntype T[K any] struct{}\nfunc (*T[K]) M() {}\n", []string{"p/a.go:T.M"}},
		{"type", checkExported, "a.go", head + "type T int\n", []string{"p/a.go:T"}},
		{"field", checkExported, "a.go", head + "// T is.\ntype T struct{ A int }\n", []string{"p/a.go:T.A"}},
		{"interface", checkExported, "a.go", head + "// I is.\ntype I interface{ M() }\n", []string{"p/a.go:I.M"}},
		{"constant", checkExported, "a.go", head + "const C = 1\n", []string{"p/a.go:C"}},
		{"variable", checkVariables, "a.go", head + "var x = map[int]int{}\n", []string{"p.x"}},
		{"no error", checkVariables, "a.go", head + "var ErrX error\n", []string{"p.ErrX"}},
		{"init", checkInit, "a.go", head + "func init() {}\n", []string{"p/a.go:init"}},
		{"sleep", checkSleep, "a_test.go", sleeping, []string{"p/a_test.go:nap"}},
		{"sleep in code", checkSleep, "a.go", strings.Replace(sleeping, "p_test", "p", 1), []string{"p/a.go:nap"}},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			found, looked := tt.check(mustParse(t, "p", map[string]string{tt.file: tt.text}))
			var keys []string
			for _, f := range found {
				keys = append(keys, f.key)
				require.Contains(t, f.text, f.key)
			}
			require.Equal(t, tt.want, keys)
			require.Positive(t, looked)
			good, _ := tt.check(mustParse(t, "p", map[string]string{"doc.go": goodSource, "p_test.go": bubble}))
			require.Empty(t, good, fmt.Sprint("the good package: ", tt.reason))
		})
	}
}

func TestExceptions(t *testing.T) {
	found := []finding{{"a", "a is bad"}, {"b", "b is bad"}}
	require.Equal(t, []string{"b is bad"}, except(found, exceptions{"a": "it must"}))
	require.Equal(t, []string{"b is bad", "a: an exception without a reason"}, except(found, exceptions{"a": ""}))
	require.Equal(t, []string{"c: the exception is not needed"}, except(nil, exceptions{"c": "old"}))
}

func TestInsecureSkipVerifyIsFound(t *testing.T) {
	p := mustParse(t, "p", map[string]string{
		"a.go":      "package p\nvar c = tls.Config{InsecureSkipVerify: true}\nfunc f() { c.InsecureSkipVerify = true }\n",
		"a_test.go": "package p\nvar d = tls.Config{InsecureSkipVerify: true}\n",
	})
	require.Equal(t, []string{"p/a.go:2", "p/a.go:3"}, insecureSkipVerify(p))
}
