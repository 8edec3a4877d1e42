package certstore_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// seeds returns one statement of every kind.
func seeds(t testing.TB) []*certstore.Statement {
	_, all := batches(t)
	var statements []*certstore.Statement
	kinds := make(map[certstore.Kind]bool)
	for _, b := range all {
		statements = append(statements, b.Statements...)
	}
	for _, s := range statements {
		kinds[s.Kind()] = true
	}
	require.Len(t, kinds, 4)
	return statements
}

// FuzzParseStatement signs whatever comes, so that the fuzzer gets past the signature: what parses is canonical.
func FuzzParseStatement(f *testing.F) {
	id := people(f, 1)[0]
	for _, s := range seeds(f) {
		f.Add(s.Body())
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 2*certstore.MaxBody {
			return
		}
		signature, err := id.Sign(body)
		require.NoError(t, err)
		s, err := certstore.ParseStatement(body, signature)
		if err != nil {
			require.Nil(t, s)
			return
		}
		require.Equal(t, body, s.Body())
		require.LessOrEqual(t, len(body), certstore.MaxBody)
		require.Equal(t, id.KeyID(), s.Issuer())
		encoded, err := s.MarshalBinary()
		require.NoError(t, err)
		again, err := certstore.ParseEncodedStatement(encoded)
		require.NoError(t, err)
		require.Equal(t, s.ID(), again.ID())
		require.NotEmpty(t, certstore.Note(s))
		certstore.Evaluate(s.Cluster(), []*certstore.Statement{s})
	})
}

func FuzzParseEncodedStatement(f *testing.F) {
	for _, s := range seeds(f) {
		encoded, err := s.MarshalBinary()
		require.NoError(f, err)
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		s, err := certstore.ParseEncodedStatement(encoded)
		if err != nil {
			require.Nil(t, s)
			return
		}
		again, err := s.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, encoded, again)
		require.LessOrEqual(t, len(encoded), certstore.MaxEncodedStatement)
	})
}

// FuzzTrustFile: the loader accepts only what the library would have written, up to the end of the last whole line.
func FuzzTrustFile(f *testing.F) {
	_, all := batches(f)
	data := encode(f, all...)
	f.Add(data)
	f.Add(data[:len(data)-9])
	f.Add([]byte("{\"format\":2}\n"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		batch, size, err := certstore.ParseTrustFile(data)
		if err != nil {
			require.Empty(t, batch.Statements)
			return
		}
		require.LessOrEqual(t, size, int64(len(data)))
		require.NotContains(t, string(data[size:]), "\n")
		again, sizeAgain, err := certstore.ParseTrustFile(data[:size])
		require.NoError(t, err)
		require.Equal(t, size, sizeAgain)
		require.Equal(t, idsOf(batch.Statements), idsOf(again.Statements))
		require.Equal(t, size == 0, batch.Cluster.IsZero())
	})
}

// FuzzEvaluate turns every three bytes into a statement by one of five actors, of whom anybody may be hostile.
func FuzzEvaluate(f *testing.F) {
	f.Add([]byte{0x01, 0, 0x0f, 0x12, 0, 0x0f, 0x01, 1, 0x00, 0x20, 2, 0x31})
	f.Add([]byte{0x01, 0, 0x03, 0x12, 3, 0x03, 0x11, 1, 0x01, 0x40, 0, 0x03})
	f.Fuzz(func(t *testing.T, script []byte) {
		ids := people(t, 5)
		l, genesis := begin(t, ids[0], 1, ids[4])
		for admits := []*certstore.Statement{genesis}; len(script) >= 3 && len(l.all) < 24; script = script[3:] {
			by, who, detail := ids[script[0]>>4%5], ids[script[0]&15%5], script[2]
			cited := admits[int(detail>>2)%len(admits)]
			switch script[1] % 4 {
			case 0, 3:
				a := admission(who, certstore.Rights(detail&3))
				if a.Offer[0] = detail >> 2; script[1]%4 == 3 {
					a.Replaces = by.KeyID()
				}
				admits = append(admits, l.issue(by, a))
			case 1:
				l.remove(by, who, cited, admits[int(detail>>5)%len(admits)])
			case 2:
				l.issue(by, &certstore.MemberProfile{Admit: cited.ID(), Revision: uint64(detail&3) + 1})
			}
		}
		s := certstore.Evaluate(l.cluster, l.all)
		for m := range s.Members() {
			require.False(t, s.Gone(m.Key))
		}
		mirrored := slices.Concat(l.all, l.all)
		slices.Reverse(mirrored)
		require.Equal(t, s.Digest(), certstore.Evaluate(l.cluster, mirrored).Digest())
		require.Equal(t, names(s), names(certstore.Evaluate(l.cluster, mirrored)))
		for i, r := range l.all {
			if r.Kind() == certstore.KindRemove {
				without := slices.Delete(slices.Clone(l.all), i, i+1)
				requireSubset(t, keysOf(s), keysOf(certstore.Evaluate(l.cluster, without)))
			}
		}
	})
}

// TestFuzzSeedsAreWhole: a fuzz target that starts from nothing finds nothing.
func TestFuzzSeedsAreWhole(t *testing.T) {
	require.Len(t, seeds(t), 5)
	_, all := batches(t)
	require.Equal(t, 3, bytes.Count(encode(t, all...), []byte("\n")))
}
