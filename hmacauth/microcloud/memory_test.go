//go:build !race

// The race detector takes memory of its own.

package microcloud_test

import (
	"runtime/debug"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// TestMemoryIsGivenBack: what a derivation took is not there any more when the next one begins, however many callers there are.
func TestMemoryIsGivenBack(t *testing.T) {
	d, p, h := newDeriver(t, microcloud.DeriverConfig{Parallel: 2}), passphrase(t, phrase), parse(t, authorization)
	debug.FreeOSMemory()
	peak := watchMemory()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { _ = d.Verify(t.Context(), p, h, []byte(signed)) })
	}
	all.Wait()
	most := peak()
	require.Less(t, most, uint64(2*microcloud.DerivationMemory+microcloud.DerivationMemory/2))
	require.Greater(t, most, uint64(microcloud.DerivationMemory), "nothing was seen")
}
