package certstore_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// updateVariable is set to write testdata/vectors/evaluation.json anew instead of comparing it with what would be written.
const updateVariable = "MICROTRUST_UPDATE_VECTORS"

func vectorPath() string { return filepath.Join("..", "testdata", "vectors", "evaluation.json") }

// vectorFile is testdata/vectors/evaluation.json. docs/trust-store.md, section "Test vectors", says what it holds.
type vectorFile struct {
	Format      string             `json:"format"`
	Evaluations []evaluationVector `json:"evaluations"`
	Refused     []refusedVector    `json:"refused"`
}

// evaluationVector is a set of statements and what follows from it.
type evaluationVector struct {
	Name       string            `json:"name"`
	Class      string            `json:"class"`
	Why        string            `json:"why"`
	Cluster    hash              `json:"cluster"`
	Statements []statementVector `json:"statements"`
	Result     result            `json:"result"`
}

type statementVector struct {
	About   string `json:"about"`
	Encoded []byte `json:"encoded"` // base64
}

// refusedVector is what a reader of statements refuses.
type refusedVector struct {
	Name    string `json:"name"`
	Class   string `json:"class"`
	Why     string `json:"why"`
	Encoded []byte `json:"encoded"` // base64
}

const vectorFormat = "microtrust/2 evaluation of trust stores, version 1"

// loadVectors reads the file strictly: a name that nobody knows is an error, so that nothing in it goes unread.
func loadVectors(t *testing.T) vectorFile {
	t.Helper()
	raw, err := os.ReadFile(vectorPath())
	require.NoError(t, err)
	var file vectorFile
	require.NoError(t, wire.DecodeJSON(raw, &file), "unknown or repeated members make a vector file useless")
	require.Equal(t, vectorFormat, file.Format)
	return file
}

// TestEvaluationVectors: every set of the file comes to its result in the package, in any order, in a store that gets it bit by
// bit, in a file that is opened again, and in the second implementation.
func TestEvaluationVectors(t *testing.T) {
	file := loadVectors(t)
	classes := map[string]int{}
	for _, v := range file.Evaluations {
		classes[v.Class]++
		t.Run(v.Class+": "+v.Name, func(t *testing.T) {
			t.Parallel()
			set, encoded := v.parse(t)
			require.Equal(t, v.Result, docEvaluate(v.Cluster, encoded, docUsable), "the second implementation")
			v.checkOrders(t, set)
			v.checkStores(t, set)
		})
	}
	least := map[string]int{
		"reach": 9, "puppet": 7, "genesis": 5, "cluster": 3, "removal": 6, "backdated": 4, "signature": 5, "rights": 10, "hand-over": 12,
		"keep": 12, "recovery": 10, "lineage": 13, "machine": 11, "name": 6, "profile": 12, "certificate": 16,
	}
	for class, n := range least {
		require.GreaterOrEqual(t, classes[class], n, class)
	}
	require.Len(t, classes, len(least), "classes that nobody knows")
	t.Logf("%d evaluations: %v", len(file.Evaluations), classes)
}

// parse reads the statements of a vector, each of which says the same when it is encoded again.
func (v *evaluationVector) parse(t *testing.T) (set []*certstore.Statement, encoded [][]byte) {
	for _, s := range v.Statements {
		parsed, err := certstore.ParseEncodedStatement(s.Encoded)
		require.NoError(t, err, s.About)
		again, err := parsed.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, s.Encoded, again)
		set, encoded = append(set, parsed), append(encoded, s.Encoded)
	}
	return set, encoded
}

func (v *evaluationVector) checkOrders(t *testing.T, set []*certstore.Statement) {
	keys := keysIn(set)
	check := func(order []*certstore.Statement, what string) {
		cluster := certstore.ClusterID(v.Cluster)
		got := resultOf(t, certstore.Evaluate(cluster, order), set, certstore.Held(cluster, order), keys)
		require.Equal(t, v.Result, got, what)
	}
	check(set, "as it stands")
	mixed := slices.Clone(set)
	slices.Reverse(mixed)
	check(mixed, "from behind")
	check(slices.Concat(mixed, []*certstore.Statement{nil}, set), "repeated")
	for step := range len(set) {
		check(append(slices.Clone(set[step:]), set[:step]...), "turned around")
	}
	slices.SortFunc(mixed, func(a, b *certstore.Statement) int { return b.ID().Compare(a.ID()) })
	check(mixed, "descending")
}

// checkStores lets stores take the set in, on a memory and on the file backend, in batches of several sizes.
func (v *evaluationVector) checkStores(t *testing.T, set []*certstore.Statement) {
	genesis := slices.IndexFunc(set, func(s *certstore.Statement) bool { return hash(s.ID()) == v.Cluster })
	first := certstore.Batch{Cluster: certstore.ClusterID(v.Cluster), Statements: set[max(genesis, 0):][:1]}
	if genesis < 0 {
		b := certstore.NewMemoryBackend()
		require.NoError(t, b.Append(t.Context(), first))
		_, err := certstore.OpenBackend(b, people(t, 1)[0])
		require.ErrorIs(t, err, certstore.ErrIncompleteSet)
		return
	}
	for _, size := range []int{1, 3, len(set)} {
		for _, backward := range []bool{false, true} {
			rest := slices.Clone(set)
			if backward {
				slices.Reverse(rest)
			}
			b := certstore.NewMemoryBackend()
			require.NoError(t, b.Append(t.Context(), first))
			s := v.fill(t, b, set, slices.Collect(slices.Chunk(rest, size)))
			require.NoError(t, s.Close())
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	open := func() certstore.Backend {
		b, err := certstore.OpenFileBackend(dir)
		require.NoError(t, err)
		return b
	}
	b := open()
	_, err := b.Load(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Append(t.Context(), first))
	require.NoError(t, b.Close())
	s := v.fill(t, open(), set, slices.Collect(slices.Chunk(set, 2)))
	require.NoError(t, s.Close())
	require.NoError(t, v.fill(t, open(), set, nil).Close())
}

// fill opens a store on b, lets it merge batches, and compares what it holds and trusts with the result.
func (v *evaluationVector) fill(t *testing.T, b certstore.Backend, set []*certstore.Statement, batches [][]*certstore.Statement) *certstore.Store {
	s, err := certstore.OpenBackend(b, people(t, 1)[0])
	require.NoError(t, err)
	for _, batch := range batches {
		foreign := slices.ContainsFunc(batch, func(s *certstore.Statement) bool { return hash(s.Cluster()) != v.Cluster })
		if _, err := s.Merge(t.Context(), batch); foreign {
			require.ErrorIs(t, err, certstore.ErrOtherCluster)
		} else {
			require.NoError(t, err)
		}
	}
	require.Equal(t, v.Result, resultOf(t, s.Snapshot(), set, s.Statements(), keysIn(set)))
	return s
}

// TestRefusedStatementVectors: every statement of the file that must be refused is, for the reason of its class.
func TestRefusedStatementVectors(t *testing.T) {
	reasons := map[string]error{
		"encoding": certstore.ErrStatement, "content": certstore.ErrStatement, "key": certstore.ErrSignature, "signature": certstore.ErrSignature,
	}
	classes := map[string]int{}
	for _, v := range loadVectors(t).Refused {
		t.Run(v.Class+": "+v.Name, func(t *testing.T) {
			require.Contains(t, reasons, v.Class)
			s, err := certstore.ParseEncodedStatement(v.Encoded)
			require.ErrorIs(t, err, reasons[v.Class])
			require.Nil(t, s)
			classes[v.Class]++
		})
	}
	for class, n := range map[string]int{"encoding": 18, "content": 20, "key": 4, "signature": 14} {
		require.GreaterOrEqual(t, classes[class], n, class)
	}
	t.Logf("%v", classes)
}

// TestEvaluationVectorsAreMade: the file is what its generator makes, to the byte, and comes to what was written down by hand.
func TestEvaluationVectorsAreMade(t *testing.T) {
	file := vectorFile{Format: vectorFormat, Refused: makeRefused(t)}
	m := vectorPeople(t)
	seen := map[string]bool{}
	for _, c := range sceneCases(t) {
		require.False(t, seen[c.class+c.name], "%s: %s stands twice", c.class, c.name)
		seen[c.class+c.name] = true
		s := &scene{T: t}
		s.begin(m[0])
		c.write(s, m)
		v := evaluationVector{Name: c.name, Class: c.class, Why: c.why, Cluster: hash(s.cluster)}
		for i, statement := range s.set {
			encoded, err := statement.MarshalBinary()
			require.NoError(t, err)
			v.Statements = append(v.Statements, statementVector{s.about[i], encoded})
		}
		v.Result = requireDocument(t, s.cluster, s.set)
		var names []string
		for _, member := range v.Result.Members {
			names = append(names, member.Name)
		}
		require.Equal(t, c.want, strings.Join(names, " "), "%s: %s", c.class, c.name)
		file.Evaluations = append(file.Evaluations, v)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(file))
	made := out.Bytes()
	if os.Getenv(updateVariable) != "" {
		require.NoError(t, os.WriteFile(vectorPath(), made, 0o644))
	}
	raw, err := os.ReadFile(vectorPath())
	require.NoError(t, err)
	require.True(t, bytes.Equal(made, raw), "the file is not what the generator makes; set %s to write it anew", updateVariable)
}
