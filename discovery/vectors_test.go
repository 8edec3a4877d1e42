package discovery_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/discovery"
)

// vector is one datagram, and what it says or why it is skipped.
type vector struct {
	About     string   `json:"about"`
	Datagram  string   `json:"datagram"`
	Hex       string   `json:"hex"`       // instead of datagram, where that is no text
	Class     string   `json:"class"`     // malformed or version; otherwise the datagram is good
	Canonical bool     `json:"canonical"` // it is what this implementation sends
	Query     string   `json:"query"`
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

type vectorFile struct {
	Discovery       int      `json:"discovery"`
	Protocol        string   `json:"protocol"`
	Groups          []string `json:"groups"`
	LegacyGroup     string   `json:"legacy_group"`
	Questions       []vector `json:"questions"`
	Answers         []vector `json:"answers"`
	LegacyQuestions []vector `json:"legacy_questions"`
	LegacyAnswers   []vector `json:"legacy_answers"`
}

func loadVectors(t testing.TB) (file vectorFile) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "discovery.json"))
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&file))
	return file
}

func (v vector) bytes(t testing.TB) []byte {
	t.Helper()
	if v.Hex == "" {
		return []byte(v.Datagram)
	}
	raw, err := hex.DecodeString(v.Hex)
	require.NoError(t, err)
	return raw
}

// check compares what a parser said of a vector. It returns what is good for, so that a caller counts.
func (v vector) check(t *testing.T, query, name string, addresses []string, err error) (good bool) {
	t.Helper()
	switch v.Class {
	case "malformed":
		require.ErrorIs(t, err, discovery.ErrMalformed, v.About)
		require.NotErrorIs(t, err, discovery.ErrVersion, v.About)
	case "version":
		require.ErrorIs(t, err, discovery.ErrVersion, v.About)
	case "":
		require.NoError(t, err, v.About)
		require.Equal(t, v.Query, query, v.About)
		require.Equal(t, v.Name, name, v.About)
		require.Equal(t, v.Addresses, addresses, v.About)
		return true
	default:
		t.Fatalf("%s: an unknown class %q", v.About, v.Class)
	}
	return false
}

func TestVectors(t *testing.T) {
	file := loadVectors(t)
	require.Equal(t, 1, file.Discovery)
	require.Equal(t, discovery.Protocol, file.Protocol)
	require.Equal(t, []string{discovery.Group4(), discovery.Group6()}, file.Groups)
	require.Equal(t, discovery.GroupLegacy(), file.LegacyGroup)
	kinds := []struct {
		name      string
		vectors   []vector
		good, bad int // at least
		parse     func(v vector, data []byte) (query, name string, addresses []string, err error)
		encode    func(v vector) ([]byte, error)
	}{
		{"question", file.Questions, 2, 35, func(v vector, data []byte) (string, string, []string, error) {
			id, err := discovery.ParseQuestion(data)
			return hex.EncodeToString(id[:]), "", nil, err
		}, func(v vector) ([]byte, error) { return discovery.EncodeQuestion(v.id(t)) }},
		{"answer", file.Answers, 6, 45, func(v vector, data []byte) (string, string, []string, error) {
			id, name, addresses, err := discovery.ParseAnswer(data)
			return hex.EncodeToString(id[:]), name, addresses, err
		}, func(v vector) ([]byte, error) { return discovery.EncodeAnswer(v.id(t), v.Name, v.Addresses) }},
		{"legacy question", file.LegacyQuestions, 2, 12, func(v vector, data []byte) (string, string, []string, error) {
			return "", "", nil, discovery.ParseLegacyQuestion(data)
		}, func(vector) ([]byte, error) { return discovery.EncodeLegacyQuestion() }},
		{"legacy answer", file.LegacyAnswers, 6, 22, func(v vector, data []byte) (string, string, []string, error) {
			name, addresses, err := discovery.ParseLegacyAnswer(data)
			return "", name, addresses, err
		}, func(v vector) ([]byte, error) { return discovery.EncodeLegacyAnswer(v.Name, v.Addresses) }},
	}
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			good, bad := 0, 0
			for _, v := range kind.vectors {
				data := v.bytes(t)
				query, name, addresses, err := kind.parse(v, data)
				if !v.check(t, query, name, addresses, err) {
					bad++
					continue
				}
				good++
				sent, err := kind.encode(v)
				require.NoError(t, err, v.About)
				require.Equal(t, v.Canonical, bytes.Equal(data, sent), "%s: %s", v.About, sent)
			}
			t.Logf("%d good, %d bad", good, bad)
			require.GreaterOrEqual(t, good, kind.good)
			require.GreaterOrEqual(t, bad, kind.bad)
		})
	}
}

func (v vector) id(t testing.TB) (id discovery.ID) {
	t.Helper()
	raw, err := hex.DecodeString(v.Query)
	require.NoError(t, err)
	require.Len(t, raw, len(id))
	return discovery.ID(raw)
}

// TestProtocolIsTheOneOfTheJoin: the name that is announced is the one that the join speaks.
func TestProtocolIsTheOneOfTheJoin(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "join.json"))
	require.NoError(t, err)
	var join struct{ Protocol string }
	require.NoError(t, json.Unmarshal(raw, &join))
	require.Equal(t, join.Protocol, discovery.Protocol)
}
