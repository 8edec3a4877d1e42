package wire_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/wire"
)

func TestMalformedFieldsAreRefused(t *testing.T) {
	good := wire.NewFields("l").String("ab").Uint64(2).Encoding()
	two := func(r *wire.FieldReader) { r.String(2); r.Uint64() }
	rows := map[string]struct {
		data  []byte
		read  func(*wire.FieldReader)
		index int
	}{
		"nothing at all":               {nil, two, 0},
		"length cut off":               {good[:3], two, 0},
		"label cut off":                {good[:4], two, 0},
		"another label":                {wire.NewFields("m").String("ab").Uint64(2).Encoding(), two, 0},
		"a label that is longer":       {wire.NewFields("ll").String("ab").Uint64(2).Encoding(), two, 0},
		"a label that is shorter":      {wire.NewFields("").String("ab").Uint64(2).Encoding(), two, 0},
		"field cut off":                {good[:10], two, 1},
		"field missing":                {good[:11], two, 2},
		"bytes left over":              {append(good[:len(good):len(good)], 0), two, 3},
		"field left over":              {good, func(r *wire.FieldReader) { r.String(2) }, 2},
		"longer than allowed":          {good, func(r *wire.FieldReader) { r.String(1) }, 1},
		"a negative limit":             {good, func(r *wire.FieldReader) { r.Bytes(-1) }, 1},
		"a length of 4 GiB":            {append(wire.NewFields("l").Encoding(), 255, 255, 255, 255), func(r *wire.FieldReader) { r.Bytes(1 << 30) }, 1},
		"shorter than the fixed size":  {good, func(r *wire.FieldReader) { r.Fixed(3) }, 1},
		"longer than the fixed size":   {good, func(r *wire.FieldReader) { r.Fixed(1) }, 1},
		"a number of two bytes":        {good, func(r *wire.FieldReader) { r.Uint64() }, 1},
		"not UTF-8":                    {wire.NewFields("l").Bytes([]byte{0xff}).Encoding(), func(r *wire.FieldReader) { r.String(9) }, 1},
		"more items than allowed":      {wire.NewFields("l").Strings([]string{"", ""}).Encoding(), func(r *wire.FieldReader) { r.Count(1) }, 1},
		"more items than bytes":        {wire.NewFields("l").Uint64(3).Bytes(nil).Bytes(nil).Encoding(), func(r *wire.FieldReader) { r.Count(9) }, 1},
		"a number of items above int":  {wire.NewFields("l").Uint64(1 << 63).Encoding(), func(r *wire.FieldReader) { r.Count(9) }, 1},
		"a negative number of allowed": {wire.NewFields("l").Uint64(0).Encoding(), func(r *wire.FieldReader) { r.Count(-1) }, 1},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			r := wire.ReadFields(row.data, "l")
			row.read(r)
			err := r.Close()
			require.ErrorIs(t, err, wire.ErrMalformed)
			var field *wire.FieldError
			require.True(t, errors.As(err, &field))
			require.Equal(t, row.index, field.Index, "field that is named")
		})
	}
	require.GreaterOrEqual(t, len(rows), 21)
}

func TestFirstErrorSticks(t *testing.T) {
	r := wire.ReadFields(wire.NewFields("l").String("abc").String("d").Encoding(), "l")
	require.Empty(t, r.String(2))
	first := r.Err()
	require.ErrorIs(t, first, wire.ErrMalformed)
	require.Nil(t, r.Bytes(9))
	require.Nil(t, r.Fixed(1))
	require.Empty(t, r.String(9))
	require.Zero(t, r.Uint64())
	require.Zero(t, r.Count(9))
	require.Same(t, first, r.Close())
}

func TestFieldsReadBack(t *testing.T) {
	data := wire.NewFields("label").
		Bytes([]byte{0, 1}).Bytes(nil).String("ü").Uint64(1 << 63).
		List([][]byte{{7}, {}}).Strings([]string{"a"}).Strings(nil).
		Encoding()
	r := wire.ReadFields(data, "label")
	require.Equal(t, []byte{0, 1}, r.Fixed(2))
	require.Equal(t, []byte{}, r.Bytes(0))
	require.Equal(t, "ü", r.String(2))
	require.Equal(t, uint64(1<<63), r.Uint64())
	require.Equal(t, 2, r.Count(2))
	require.Equal(t, []byte{7}, r.Bytes(1))
	require.Equal(t, []byte{}, r.Fixed(0))
	require.Equal(t, 1, r.Count(1))
	require.Equal(t, "a", r.String(1))
	require.Equal(t, 0, r.Count(0))
	require.NoError(t, r.Close())
}

func TestEncodingIsTheDocumentedOne(t *testing.T) {
	f := wire.NewFields("k").String("ab").Uint64(258).Strings([]string{"z"})
	require.Equal(t, "000000016b"+"000000026162"+"000000080000000000000102"+"000000080000000000000001"+"000000017a",
		hex.EncodeToString(f.Encoding()))
	sum := wire.NewFields("").SHA256()
	require.Equal(t, "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119", hex.EncodeToString(sum[:]),
		"SHA-256 of four zero bytes")
}

func TestDifferentFieldsNeverShareAnEncoding(t *testing.T) {
	all := map[string]*wire.Fields{
		"ab|c":      wire.NewFields("l").String("ab").String("c"),
		"a|bc":      wire.NewFields("l").String("a").String("bc"),
		"abc":       wire.NewFields("l").String("abc"),
		"abc|":      wire.NewFields("l").String("abc").String(""),
		"|abc":      wire.NewFields("l").String("").String("abc"),
		"[abc]":     wire.NewFields("l").Strings([]string{"abc"}),
		"[a bc]":    wire.NewFields("l").Strings([]string{"a", "bc"}),
		"[a] bc":    wire.NewFields("l").Strings([]string{"a"}).String("bc"),
		"label la":  wire.NewFields("la").String("bc"),
		"label lab": wire.NewFields("lab").String("c"),
	}
	seen := map[string]string{}
	for name, f := range all {
		encoding := string(f.Encoding())
		require.Empty(t, seen[encoding], name)
		seen[encoding] = name
	}
	require.Len(t, seen, 10)
}

func TestEncodingAndFieldsAreCopies(t *testing.T) {
	f := wire.NewFields("l").String("a")
	first := f.Encoding()
	first[0] = 9
	require.NotEqual(t, first, f.Encoding())

	data := f.Encoding()
	r := wire.ReadFields(data, "l")
	got := r.Bytes(1)
	got[0] = 'x'
	require.Equal(t, f.Encoding(), data)
}

func TestMapIsSortedByItsKeys(t *testing.T) {
	want := wire.NewFields("l").Uint64(3).String("").String("x").String("B").String("").String("a").String("2").Encoding()
	for range 20 {
		require.Equal(t, want, wire.NewFields("l").Map(map[string]string{"a": "2", "B": "", "": "x"}).Encoding())
	}
	require.Equal(t, wire.NewFields("l").Uint64(0).Encoding(), wire.NewFields("l").Map(nil).Encoding())
}
