package cpace_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/cpace"
)

const vectorFile = "../../testdata/vectors/cpace-ristretto255.json"

// vectors hands out each value of the file once, and fails if one was never asked for.
type vectors struct {
	t      *testing.T
	values map[string]string
}

// loadVectors dies on members that it does not know and on values that are not texts.
func loadVectors(t *testing.T) *vectors {
	text, err := os.ReadFile(vectorFile)
	require.NoError(t, err)
	var file struct {
		Suite    string            `json:"suite"`
		Source   string            `json:"source"`
		Exchange map[string]string `json:"exchange"`
		Points   struct {
			Valid map[string]string
			Y1    string `json:"Invalid Y1"`
			Y2    string `json:"Invalid Y2"`
		} `json:"points"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&file))
	require.False(t, decoder.More())
	require.Equal(t, "CPACE-RISTR255-SHA512", file.Suite)
	require.NotEmpty(t, file.Source)

	v := &vectors{t: t, values: map[string]string{"Invalid Y1": file.Points.Y1, "Invalid Y2": file.Points.Y2}}
	for _, group := range []map[string]string{file.Exchange, file.Points.Valid} {
		for name, value := range group {
			require.NotContains(t, v.values, name)
			v.values[name] = value
		}
	}
	require.Len(t, v.values, 21, "values in the file")
	return v
}

func (v *vectors) take(name string) []byte {
	require.Contains(v.t, v.values, name)
	value, err := hex.DecodeString(v.values[name])
	require.NoError(v.t, err, name)
	require.NotEmpty(v.t, value, name)
	delete(v.values, name)
	return value
}

func (v *vectors) array(name string) [32]byte {
	value := v.take(name)
	require.Len(v.t, value, 32, name)
	return [32]byte(value)
}

// fixed yields 64 bytes that reduce to scalar.
func fixed(scalar [32]byte) *bytes.Reader {
	return bytes.NewReader(append(scalar[:], make([]byte, 32)...))
}

func TestPublishedVectors(t *testing.T) {
	v := loadVectors(t)

	_, err := cpace.Multiply([32]byte{1}, v.array("Invalid Y1"))
	require.ErrorIs(t, err, cpace.ErrShare)
	_, err = cpace.Multiply([32]byte{1}, v.array("Invalid Y2"))
	require.ErrorIs(t, err, cpace.ErrShare)
	product, err := cpace.Multiply(v.array("s"), v.array("X"))
	require.NoError(t, err)
	require.Equal(t, v.array("G.scalar_mult(s,decode(X))"), product)
	require.Equal(t, v.array("G.scalar_mult_vfy(s,X)"), product)

	in := cpace.Input{PRS: v.take("PRS"), CI: v.take("CI"), SID: v.take("sid")}
	adA, adB := v.take("ADa"), v.take("ADb")
	require.Equal(t, v.take("g"), cpace.Generator(in))
	scalarA, scalarB := v.array("ya"), v.array("yb")
	a, ya, err := cpace.Start(in, fixed(scalarA))
	require.NoError(t, err)
	require.Equal(t, v.array("Ya"), [32]byte(ya))
	b, yb, err := cpace.Start(in, fixed(scalarB))
	require.NoError(t, err)
	require.Equal(t, v.array("Yb"), [32]byte(yb))

	k := v.array("K")
	for scalar, share := range map[[32]byte]cpace.Share{scalarA: yb, scalarB: ya} {
		got, err := cpace.Multiply(scalar, share)
		require.NoError(t, err)
		require.Equal(t, k, got)
	}
	isk := v.take("ISK_IR")
	got, err := a.FinishInitiator(adA, yb, adB)
	require.NoError(t, err)
	require.Equal(t, isk, got)
	got, err = b.FinishResponder(ya, adA, adB)
	require.NoError(t, err)
	require.Equal(t, isk, got)

	ordered := cpace.Ordered(ya, adA, yb, adB)
	require.Equal(t, v.take("ISK_SY"), cpace.Key(in.SID, k, ordered))
	require.Equal(t, v.take("sid_output_ir"), cpace.SIDOutput(cpace.Transcript(ya, adA, yb, adB)))
	require.Equal(t, v.take("sid_output_oc"), cpace.SIDOutput(ordered))
	require.Empty(t, v.values, "values that no check used")
}
