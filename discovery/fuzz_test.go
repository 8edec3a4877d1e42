package discovery_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/discovery"
)

// seed adds all vectors, good and bad ones, and fails if there are few.
func seed(f *testing.F) {
	file := loadVectors(f)
	n := 0
	for _, vectors := range [][]vector{file.Questions, file.Answers, file.LegacyQuestions, file.LegacyAnswers} {
		for _, v := range vectors {
			f.Add(v.bytes(f))
			n++
		}
	}
	require.GreaterOrEqual(f, n, 120, "seeds")
}

func requireClass(t *testing.T, err error) {
	t.Helper()
	require.True(t, errors.Is(err, discovery.ErrMalformed) != errors.Is(err, discovery.ErrVersion), "%v", err)
}

// FuzzQuestion: what is taken for a question has its length, and a question of the same id is taken as well.
func FuzzQuestion(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := discovery.ParseLegacyQuestion(data); err != nil {
			requireClass(t, err)
		} else {
			_, err := discovery.ParseQuestion(data)
			require.Error(t, err, "a question of both formats")
		}
		id, err := discovery.ParseQuestion(data)
		if err != nil {
			requireClass(t, err)
			return
		}
		require.Len(t, data, discovery.MaxDatagram)
		again, err := discovery.EncodeQuestion(id)
		require.NoError(t, err)
		got, err := discovery.ParseQuestion(again)
		require.NoError(t, err)
		require.Equal(t, id, got)
	})
}

// FuzzAnswer: what is taken for an answer is safe to show, and comes back from its own encoding, which is never too long.
func FuzzAnswer(f *testing.F) {
	seed(f)
	safe := func(t *testing.T, data []byte, name string, addresses []string) {
		require.LessOrEqual(t, len(data), discovery.MaxDatagram)
		require.NoError(t, certstore.CheckName(name))
		require.NotEmpty(t, addresses)
		require.LessOrEqual(t, len(addresses), discovery.MaxAddresses)
		for _, addr := range addresses {
			require.NoError(t, certstore.CheckAddress(addr))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if name, addresses, err := discovery.ParseLegacyAnswer(data); err != nil {
			requireClass(t, err)
		} else {
			safe(t, data, name, addresses)
			again, err := discovery.EncodeLegacyAnswer(name, addresses)
			require.NoError(t, err)
			gotName, gotAddresses, err := discovery.ParseLegacyAnswer(again)
			require.NoError(t, err)
			require.Equal(t, name, gotName)
			require.Equal(t, addresses, gotAddresses)
		}
		id, name, addresses, err := discovery.ParseAnswer(data)
		if err != nil {
			requireClass(t, err)
			return
		}
		safe(t, data, name, addresses)
		again, err := discovery.EncodeAnswer(id, name, addresses)
		require.NoError(t, err)
		gotID, gotName, gotAddresses, err := discovery.ParseAnswer(again)
		require.NoError(t, err)
		require.Equal(t, id, gotID)
		require.Equal(t, name, gotName)
		require.Equal(t, addresses, gotAddresses)
	})
}
