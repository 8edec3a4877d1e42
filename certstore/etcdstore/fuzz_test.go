package etcdstore_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// FuzzValue: whatever stands in etcd is refused, or is the one encoding of what it means.
func FuzzValue(f *testing.F) {
	head := fmt.Sprintf(`{"format":1,"cluster":"%064x"`, 1)
	seeds := []string{
		head + `}`, head + `,"statements":[{"body":"AAAA","signature":""}]}`, head + `,"parts":["00","x"]}`,
		`{"format":2}`, `{}`, `[]`, `null`, head + `,"x":1}`, head + ` }`, head + `,"parts":[]}`, head + `,"parts":["\u0000<>"]}`,
	}
	accepted := 0
	for _, seed := range seeds {
		f.Add([]byte(seed))
		if _, err := etcdstore.RoundTrip([]byte(seed)); err == nil {
			accepted++
		}
	}
	require.GreaterOrEqual(f, accepted, 3, "seeds that are values")
	f.Fuzz(func(t *testing.T, data []byte) {
		again, err := etcdstore.RoundTrip(data)
		if err == nil {
			require.Equal(t, string(data), string(again))
		}
	})
}
