package wire_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/wire"
)

type inner struct {
	Text string `json:"text,omitempty"`
}

type message struct {
	inner
	Name   string            `json:"name,omitempty"`
	Count  uint64            `json:"count,omitempty"`
	Bytes  []byte            `json:"bytes,omitempty"`
	List   []string          `json:"list,omitempty"`
	Inners []*inner          `json:"inners,omitempty"`
	Map    map[string]inner  `json:"map,omitempty"`
	Fixed  *[2]int           `json:"fixed,omitempty"`
	Free   any               `json:"free,omitempty"`
	Hidden string            `json:"-"`
	Plain  string            `json:",omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Ext    json.RawMessage   `json:"ext,omitempty"`

	//lint:ignore U1000 it must not become a member
	secret string
}

func TestMalformedJSONIsRefused(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	rows := map[string]struct{ text, member string }{
		"nothing":                            {``, ""},
		"white space":                        {" \n", ""},
		"cut off":                            {`{"name":"a"`, ""},
		"two values":                         {`{} {}`, ""},
		"something after the value":          {`{}x`, ""},
		"a zero byte after the value":        {"{}\x00", ""},
		"a byte order mark":                  {"\ufeff{}", ""},
		"not UTF-8":                          {"{\"name\":\"\xff\"}", ""},
		"not UTF-8 in a name":                {"{\"na\xffme\":\"\"}", ""},
		"a comment":                          {`{/**/}`, ""},
		"a trailing comma":                   {`{"name":"a",}`, ""},
		"unknown member":                     {`{"other":1}`, "other"},
		"unknown member, empty name":         {`{"":1}`, ""},
		"name in another case":               {`{"Name":"a"}`, "Name"},
		"name of the field in place of tag":  {`{"Count":1}`, "Count"},
		"name with a Unicode equal in fold":  {`{"li\u017ft":[]}`, "liſt"},
		"a field that has no name":           {`{"Hidden":"a"}`, "Hidden"},
		"a field that is not exported":       {`{"secret":"a"}`, "secret"},
		"unknown member deeper":              {`{"inners":[{},{"no":1}]}`, "inners[1].no"},
		"unknown member in a map's value":    {`{"map":{"k":{"no":1}}}`, "map.k.no"},
		"repeated member":                    {`{"name":"a","name":"a"}`, "name"},
		"repeated member, spelt differently": {`{"name":"a","n\u0061me":"b"}`, "name"},
		"repeated member in a map":           {`{"labels":{"k":"a","k":"b"}}`, "labels.k"},
		"repeated member in the extension":   {`{"ext":{"a":{"b":1,"b":2}}}`, "ext.a.b"},
		"repeated member where all is free":  {`{"free":[{"b":1,"b":2}]}`, "free[0].b"},
		"null":                               {`null`, ""},
		"null for a text":                    {`{"name":null}`, "name"},
		"null for a list":                    {`{"list":null}`, "list"},
		"null in a list":                     {`{"list":["a",null]}`, "list[1]"},
		"null in the extension":              {`{"ext":{"a":[null]}}`, "ext.a[0]"},
		"null for a pointer":                 {`{"fixed":null}`, "fixed"},
		"too many levels":                    {`{"ext":` + deep(16) + `}`, "ext" + strings.Repeat("[0]", 15)},
		"too many objects":                   {`{"ext":` + strings.Repeat(`{"a":`, 16) + "1" + strings.Repeat("}", 16) + `}`, "ext" + strings.Repeat(".a", 15)},
		"one half of a surrogate pair":       {`{"name":"\ud800"}`, "name"},
		"a high half before a letter":        {`{"name":"\ud800\u0061"}`, "name"},
		"a low half first":                   {`{"name":"\udc00\ud800"}`, "name"},
		"half a pair in a name":              {`{"labels":{"\udfff":""}}`, "labels"},
		"a number for a text":                {`{"name":1}`, "name"},
		"a text for a number":                {`{"count":"1"}`, "count"},
		"a negative count":                   {`{"count":-1}`, "count"},
		"a fraction":                         {`{"count":1.0}`, "count"},
		"an exponent":                        {`{"count":1e1}`, "count"},
		"too large a number":                 {`{"count":18446744073709551616}`, "count"},
		"an object for a list":               {`{"list":{}}`, "list"},
		"bytes as numbers":                   {`{"bytes":[1]}`, "bytes"},
		"bytes with a line end":              {`{"bytes":"AQ==\n"}`, "bytes"},
		"bytes with loose last bits":         {`{"bytes":"AR=="}`, "bytes"},
		"bytes without padding":              {`{"bytes":"AQ"}`, "bytes"},
		"bytes in the URL alphabet":          {`{"bytes":"-_8="}`, "bytes"},
		"too few elements":                   {`{"fixed":[1]}`, "fixed"},
		"too many elements":                  {`{"fixed":[1,2,3]}`, "fixed"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := wire.DecodeJSON([]byte(row.text), new(message))
			require.ErrorIs(t, err, wire.ErrMalformed)
			var member *wire.MemberError
			require.True(t, errors.As(err, &member))
			require.Equal(t, row.member, strings.TrimPrefix(member.Member, "message."))
			require.NotContains(t, err.Error(), "json:")
		})
	}
	require.GreaterOrEqual(t, len(rows), 50)
}

// TestBytesAreCanonical: bytes are taken if and only if what they decode to is written just so, and at the cost of few copies.
func TestBytesAreCanonical(t *testing.T) {
	random, taken := rand.New(rand.NewPCG(1, 2)), 0
	const letters = "AQgw+/==\r\n-_ "
	for i := range 50_000 {
		raw := make([]byte, random.IntN(8))
		if i%10 == 0 { // more than is looked at in one piece
			raw = make([]byte, 768*random.IntN(3)+random.IntN(8))
		}
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		text := []byte(base64.StdEncoding.EncodeToString(raw))
		for range random.IntN(3) {
			at := random.IntN(len(text) + 1)
			letter := letters[random.IntN(len(letters))]
			if at < len(text) && random.IntN(2) == 0 {
				text[at] = letter
			} else {
				text = slices.Insert(text, at, letter)
			}
		}
		back, err := base64.StdEncoding.DecodeString(string(text))
		canonical := err == nil && base64.StdEncoding.EncodeToString(back) == string(text)
		encoded, err := json.Marshal(map[string]string{"bytes": string(text)})
		require.NoError(t, err)
		require.Equal(t, canonical, wire.DecodeJSON(encoded, new(message)) == nil, "%q", text)
		if canonical {
			taken++
		}
	}
	require.Greater(t, taken, 10_000)
	for _, ended := range []string{"AA==AAAA", strings.Repeat("AAAA", 255) + "AA==AAAA", strings.Repeat("AAAA", 255) + "AAA=AA=="} {
		require.ErrorIs(t, wire.DecodeJSON([]byte(`{"bytes":"`+ended+`"}`), new(message)), wire.ErrMalformed, ended)
	}

	long := []byte(`{"bytes":"` + strings.Repeat("AAAA", 1<<18) + `"}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, wire.DecodeJSON(long, new(message)))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3*len(long)))
}

// TestManyShortTexts: what is very little in JSON, and very much in memory, is refused before it is there.
func TestManyShortTexts(t *testing.T) {
	texts := func(n int) []byte { return []byte(`{"statements":[` + strings.Repeat(`"AAAA",`, n-1) + `"AAAA"]}`) }
	var m struct {
		Statements [][]byte `json:"statements"`
	}
	cost := func(n int) (bytes uint64, err error) {
		var before, after runtime.MemStats
		body := texts(n)
		runtime.ReadMemStats(&before)
		err = wire.DecodeJSON(body, &m)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc, err
	}
	bytes, err := cost(wire.MaxTexts)
	require.NoError(t, err)
	require.Len(t, m.Statements, wire.MaxTexts)
	require.Less(t, bytes, uint64(1000*wire.MaxTexts), "each takes little")
	_, err = cost(wire.MaxTexts + 1)
	require.ErrorIs(t, err, wire.ErrMalformed)
	bytes, err = cost(1_000_000)
	require.ErrorIs(t, err, wire.ErrMalformed)
	require.Less(t, bytes, uint64(1<<20))
}

func TestTargetMustBeAPointer(t *testing.T) {
	for _, target := range []any{nil, message{}, (*message)(nil)} {
		require.ErrorIs(t, wire.DecodeJSON([]byte(`{}`), target), wire.ErrMalformed)
	}
}

func TestErrorsQuoteAndCutWhatAPeerWrote(t *testing.T) {
	long := strings.Repeat("x", 60_000)
	for _, text := range []string{
		`{"` + long + `":1}`,
		`{"labels":{"` + long + `":null}}`,
		`{"map":{"` + long + `":{"` + long + `":1}}}`,
		`{"count":"` + long + `"}`,
		`{"ext":{"` + long + `":[[null]]}}`,
		`{"a\nb\u001b[31m":1}`,
	} {
		err := wire.DecodeJSON([]byte(text), new(message))
		require.ErrorIs(t, err, wire.ErrMalformed)
		require.Less(t, len(err.Error()), 300)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "\x1b")
	}
}

// A long name above a long array must not be copied for every element.
func TestWorkIsLinear(t *testing.T) {
	text := []byte(`{"ext":{"` + strings.Repeat("x", 30_000) + `":[` + strings.Repeat("1,", 15_000) + `1]}}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, wire.DecodeJSON(text, new(message)))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64*len(text)))
}

func TestGoodJSONIsDecoded(t *testing.T) {
	text := ` {"text":"t","name":"\ud83d\ude00","count":18446744073709551615,"bytes":"AQ==","list":[],"Plain":"p",
		"inners":[{"text":"x"},{}],"map":{"NAME":{"text":"y"},"name":{}},"fixed":[1,2],"free":[{"a":1},"b",true,-1.5e3],
		"labels":{"a\"\\b":"\\"},"ext":{"any":{"Any":[{}]}}}` + "\n"
	var got message
	require.NoError(t, wire.DecodeJSON([]byte(text), &got))
	want := message{
		inner: inner{Text: "t"}, Name: "😀", Count: 1<<64 - 1, Bytes: []byte{1}, List: []string{}, Plain: "p",
		Inners: []*inner{{Text: "x"}, {}}, Map: map[string]inner{"NAME": {Text: "y"}, "name": {}}, Fixed: &[2]int{1, 2},
		Free:   []any{map[string]any{"a": 1.0}, "b", true, -1500.0},
		Labels: map[string]string{`a"\b`: `\`}, Ext: json.RawMessage(`{"any":{"Any":[{}]}}`),
	}
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(message{})))

	deepest := `{"ext":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`
	require.NoError(t, wire.DecodeJSON([]byte(deepest), new(message)))

	var number int
	require.NoError(t, wire.DecodeJSON([]byte("7"), &number), "a value without brackets")
	require.Equal(t, 7, number)
}

func TestEncodeRefusesWhatDecodeWouldRefuse(t *testing.T) {
	rows := map[string]any{
		"nil":                     nil,
		"nil slice":               struct{ A []string }{},
		"nil map":                 struct{ A map[string]string }{},
		"nil pointer":             struct{ A *int }{},
		"a function":              struct{ A func() }{},
		"not a number":            []float64{nan()},
		"raw text with null":      json.RawMessage(`{"a":null}`),
		"raw text with repeats":   json.RawMessage(`{"a":1,"a":2}`),
		"raw text that is broken": json.RawMessage(`{`),
	}
	for name, v := range rows {
		_, err := wire.EncodeJSON(v)
		require.ErrorIs(t, err, wire.ErrMalformed, name)
	}
	require.Len(t, rows, 9)
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestEncodeWritesNoEscapesAndNoLineEnd(t *testing.T) {
	got, err := wire.EncodeJSON(message{Name: "<a&b>\u2028"})
	require.NoError(t, err)
	require.Equal(t, `{"name":"<a&b>\u2028"}`, string(got))
}
