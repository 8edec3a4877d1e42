package certstore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// largeCluster returns a cluster of n members, all admitted by the first.
func largeCluster(b *testing.B, n int) *ledger {
	b.Helper()
	first := people(b, 1)[0]
	l, _ := begin(b, first, 1, nil)
	for i := range n - 1 {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("n%d", i), Algorithm: certstore.Ed25519})
		require.NoError(b, err)
		l.admit(first, id)
	}
	return l
}

// BenchmarkEvaluate is what every change of a store costs beside writing it.
func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		l := largeCluster(b, n)
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			for b.Loop() {
				require.Equal(b, n, certstore.Evaluate(l.cluster, l.all).Len())
			}
		})
	}
}
