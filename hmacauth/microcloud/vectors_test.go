package microcloud_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// vectorFile is testdata/vectors/microcloud-1.0.json. docs/microcloud.md, "Test vectors", says what it holds.
type vectorFile struct {
	Provenance string   `json:"provenance"`
	Scheme     string   `json:"scheme"`
	Vectors    []vector `json:"vectors"`
}

// vector is a signed body. Class says how it is refused if it is not valid.
type vector struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	Passphrase    string `json:"passphrase"`
	Salt          string `json:"salt_hex"`
	Body          string `json:"body"`
	Authorization string `json:"authorization"`
	Valid         bool   `json:"valid"`
	Class         string `json:"class"`
}

func loadVectors(t *testing.T) []vector {
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "vectors", "microcloud-1.0.json"))
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var file vectorFile
	require.NoError(t, decoder.Decode(&file))
	_, err = decoder.Token()
	require.ErrorIs(t, err, io.EOF)
	return file.Vectors
}

// Every vector goes through every way in: parsing, verifying and, where it is one that this side could have sent, signing.
func TestVectors(t *testing.T) {
	checked, made := map[string]int{}, 0
	names := map[string]bool{}
	for _, v := range loadVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			require.Equal(t, microcloud.Version, v.Version)
			require.Equal(t, v.Valid, v.Class == "")
			checked[v.Class]++
			names[v.Name] = true
			checkVector(t, v)
			if salt, err := hex.DecodeString(v.Salt); v.Valid && err == nil && len(salt) == microcloud.SaltSize {
				made++
				d := newDeriver(t, microcloud.DeriverConfig{Random: bytes.NewReader(salt)})
				key, err := d.NewKey(t.Context(), passphrase(t, v.Passphrase))
				require.NoError(t, err)
				require.Equal(t, v.Authorization, key.Sign([]byte(v.Body)))
			}
		})
	}
	require.Equal(t, map[string]int{"": 6, "mac": 3, "malformed": 9, "version": 1}, checked)
	require.Equal(t, 5, made)
	require.Len(t, names, 19)
}

func checkVector(t *testing.T, v vector) {
	var g gauge
	d := newDeriver(t, microcloud.DeriverConfig{})
	d.Around(g.around(nil))
	h, err := microcloud.Parse(v.Authorization)
	if err == nil {
		require.Equal(t, v.Authorization, h.String())
		require.Contains(t, v.Authorization, " "+v.Salt+":")
		err = d.Verify(t.Context(), passphrase(t, v.Passphrase), h, []byte(v.Body))
	}
	derivations := int64(0)
	switch v.Class {
	case "":
		derivations = 1
		require.NoError(t, err)
	case "mac":
		derivations = 1
		require.Equal(t, microcloud.ErrMAC, err)
	case "malformed":
		if v.Authorization == "" {
			require.ErrorIs(t, err, microcloud.ErrNoHeader)
			break
		}
		require.ErrorIs(t, err, microcloud.ErrHeader)
	case "version":
		require.ErrorIs(t, err, microcloud.ErrVersion)
	default:
		require.Fail(t, "a class without a meaning", v.Class)
	}
	require.Equal(t, derivations, g.total.Load())
}
