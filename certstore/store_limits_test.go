package certstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// TestMergeTakesFewFurtherSignatures: whoever can make ever smaller signatures over one statement makes nobody write for ever,
// and what was taken before counts after the store was opened again.
func TestMergeTakesFewFurtherSignatures(t *testing.T) {
	ids := people(t, 2)
	b := certstore.NewMemoryBackend()
	s, err := certstore.OpenBackend(b, ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Bootstrap(t.Context()))
	cluster, _ := s.Cluster()
	l := &ledger{t: t, cluster: cluster}
	admit := l.admit(ids[0], ids[1])
	_, err = s.Merge(t.Context(), []*certstore.Statement{admit})
	require.NoError(t, err)
	offer := func(last byte) []byte {
		certstore.SetLimits(s, 10, 10, 2, 10)
		_, err := s.Merge(t.Context(), []*certstore.Statement{certstore.WithSignature(admit, []byte{0, last})})
		require.NoError(t, err)
		for _, held := range s.Statements() {
			if held.ID() == admit.ID() {
				return held.Signature()
			}
		}
		return nil
	}
	require.Equal(t, []byte{0, 9}, offer(9))
	require.Equal(t, []byte{0, 9}, offer(10), "a larger one")
	require.Equal(t, []byte{0, 8}, offer(8))
	require.Equal(t, []byte{0, 8}, offer(7), "a third one")
	require.NoError(t, s.Close())
	s, err = certstore.OpenBackend(b, ids[0])
	require.NoError(t, err)
	require.Equal(t, []byte{0, 8}, offer(6), "a third one, later")
	require.NoError(t, s.Close())
}
