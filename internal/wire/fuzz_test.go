package wire_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/wire"
)

// What is read and written again is the same bytes, or it was refused.
func FuzzReadFields(f *testing.F) {
	seeds := [][]byte{
		nil, {0, 0, 0, 1, 'l'},
		wire.NewFields("l").Bytes([]byte("a")).Bytes(make([]byte, 4)).String("ü").Uint64(7).Strings([]string{"x", ""}).Encoding(),
		wire.NewFields("l").Bytes(nil).Bytes(make([]byte, 4)).String("").Uint64(0).Strings(nil).Encoding(),
		wire.NewFields("m").Bytes(nil).Encoding(),
		append(wire.NewFields("l").Encoding(), 255, 255, 255, 255, 0),
	}
	require.Len(f, seeds, 6)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		r := wire.ReadFields(data, "l")
		again := wire.NewFields("l").Bytes(r.Bytes(64)).Bytes(r.Fixed(4)).String(r.String(64)).Uint64(r.Uint64())
		items := make([]string, r.Count(1000))
		for i := range items {
			items[i] = r.String(16)
		}
		if err := r.Close(); err != nil {
			require.ErrorIs(t, err, wire.ErrMalformed)
			return
		}
		require.Equal(t, before, again.Strings(items).Encoding())
		require.Equal(t, before, data, "input was changed")
	})
}

// What is decoded, encoded and decoded again is the same value; and nothing is taken that the standard decoder refuses.
func FuzzDecodeJSON(f *testing.F) {
	seeds := []string{
		``, `{}`, `null`, `{"name":"a","count":1,"bytes":"AQ==","list":["x"],"inners":[{"text":"x"}]}`,
		`{"map":{"k":{"text":"v"}},"fixed":[1,2],"free":[1,{"a":true}],"ext":{"a":[[]]}}`,
		`{"name":"\ud83d\ude00\"\\","labels":{"\u0061":"b"}}`, `{"name":"a","n\u0061me":"b"}`, `{"ext":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}`,
		`[1,2`, `"\ud800"`, "{\"name\"\t:\r\n \"a\" , \"count\" : 0 }", `{"bytes":"AR=="}`,
	}
	require.Len(f, seeds, 12)
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first message
		if err := wire.DecodeJSON(data, &first); err != nil {
			require.ErrorIs(t, err, wire.ErrMalformed)
			return
		}
		var loose message
		require.NoError(t, json.Unmarshal(data, &loose))
		require.Empty(t, cmp.Diff(loose, first, cmp.AllowUnexported(message{})))
		text, err := wire.EncodeJSON(first)
		require.NoError(t, err)
		var second message
		require.NoError(t, wire.DecodeJSON(text, &second))
		again, err := wire.EncodeJSON(second)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}
