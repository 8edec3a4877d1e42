package certstore_test

import (
	"math/rand/v2"
	"testing"
)

// longest is how many bytes of a script a fuzzed history follows: with more, it would find less.
const longest = 400

// addScripts adds scripts of several lengths, the same each time.
func addScripts(f *testing.F, lengths ...int) {
	source := rand.NewChaCha8([32]byte{1})
	for _, n := range lengths {
		script := make([]byte, n)
		_, _ = source.Read(script)
		f.Add(script)
	}
}

// FuzzHistories is TestHistories with scripts that lead to code which none led to before: members that admit, remove and hand over,
// hostile keys, a network that divides and disks that fail. Afterwards all hold the same set, nobody removed is trusted again, and
// the second implementation comes to the same result.
func FuzzHistories(f *testing.F) {
	f.Add([]byte(nil))
	addScripts(f, 60, 100, 200, 300, longest)
	f.Fuzz(func(t *testing.T, data []byte) {
		goThrough(t, &script{rest: data[:min(len(data), longest)]})
	})
}

// FuzzEvaluateByTheDocument is TestEvaluateByTheDocument likewise: everybody states anything, and both implementations of the
// evaluation come to the same result.
func FuzzEvaluateByTheDocument(f *testing.F) {
	f.Add([]byte(nil))
	addScripts(f, 50, 100, 200)
	f.Fuzz(func(t *testing.T, data []byte) {
		stateAnything(t, &script{rest: data[:min(len(data), longest)]})
	})
}
