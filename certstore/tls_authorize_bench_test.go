package certstore_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// manyMembers returns a snapshot of n members, whose certificates differ in their bytes from one real certificate.
func manyMembers(b *testing.B, n int) (*certstore.Snapshot, [][]byte) {
	b.Helper()
	model := mintIdentity(b, "micro01").Certificate()
	members, raws := make([]*certstore.Member, n), make([][]byte, n)
	for i := range members {
		raws[i] = slices.Clone(model.Raw)
		binary.BigEndian.PutUint64(raws[i][len(raws[i])-8:], uint64(i))
		members[i] = &certstore.Member{
			Name:        fmt.Sprintf("micro%06d", i),
			Fingerprint: sha256.Sum256(raws[i]),
			Key:         sha256.Sum256(raws[i][:len(raws[i])-1]),
			Certificate: &x509.Certificate{Raw: raws[i], NotBefore: model.NotBefore, NotAfter: model.NotAfter},
		}
		binary.BigEndian.PutUint64(members[i].Key[:8], uint64(i))
	}
	return certstore.NewSnapshot(certstore.ClusterID{1}, members, nil, certstore.Digest{}), raws
}

// BenchmarkAuthorize measures what one request costs before its handler runs: from the state of its connection to the
// member behind it, over 1,000 different callers in turn.
func BenchmarkAuthorize(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			snapshot, raws := manyMembers(b, n)
			require.Equal(b, n, snapshot.Len())
			now := time.Now()
			states := make([]*tls.ConnectionState, 1_000)
			for i := range states {
				leaf := &x509.Certificate{Raw: slices.Clone(raws[i*7919%n]), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
				states[i] = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{leaf}}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := snapshot.Authorize(states[i], time.Now()); err != nil {
					b.Fatal(err)
				}
				i = (i + 1) % len(states)
			}
		})
	}
}
