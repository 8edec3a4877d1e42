package cpace_test

import (
	"testing"

	"github.com/microtrust/microtrust/internal/cpace"
)

// One side of an exchange: generator and two multiplications.
func BenchmarkOneSide(b *testing.B) {
	_, peer, err := cpace.Start(input(), nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		state, _, err := cpace.Start(input(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := state.FinishInitiator(nil, peer, nil); err != nil {
			b.Fatal(err)
		}
	}
}
