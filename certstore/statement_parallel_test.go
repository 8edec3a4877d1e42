package certstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func TestParseStatements(t *testing.T) {
	ids := people(t, 3)
	l, genesis := begin(t, ids[0], 1, nil)
	l.admit(ids[0], ids[1])
	l.admit(ids[0], ids[2])
	other, _ := begin(t, ids[0], 2, nil)
	foreign := other.admit(ids[0], ids[1])
	raw := func(all ...*certstore.Statement) (raw []certstore.SignedBytes) {
		for _, s := range all {
			raw = append(raw, certstore.SignedBytes{Body: s.Body(), Signature: s.Signature()})
		}
		return raw
	}
	unsigned := raw(l.all...)
	unsigned[1].Signature = unsigned[2].Signature
	garbled := raw(l.all...)
	garbled[2].Body = garbled[2].Body[1:]
	rows := []struct {
		reason string
		all    []certstore.SignedBytes
		bad    int
		want   error
	}{
		{"another signature", unsigned, 1, certstore.ErrSignature},
		{"another body", garbled, 2, certstore.ErrStatement},
		{"another cluster's", raw(genesis, foreign), 1, certstore.ErrOtherCluster},
		{"another genesis", raw(other.all[0], genesis), 0, certstore.ErrOtherCluster},
	}
	for _, row := range rows {
		parsed, bad, err := certstore.ParseStatements(l.cluster, row.all)
		require.ErrorIs(t, err, row.want, row.reason)
		require.Equal(t, row.bad, bad, row.reason)
		require.Nil(t, parsed, row.reason)
	}
	parsed, bad, err := certstore.ParseStatements(l.cluster, raw(l.all...))
	require.NoError(t, err)
	require.Equal(t, -1, bad)
	require.Equal(t, idsOf(l.all), idsOf(parsed))
	parsed, _, err = certstore.ParseStatements(l.cluster, nil)
	require.NoError(t, err)
	require.Empty(t, parsed)
}
