package certstore_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// makeChanges is the task of the process that is killed: it opens the store, founds a cluster if there is none, and counts
// upwards in its profile. It says what it has done, each time after it is durable.
func makeChanges(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	fmt.Println("begin")
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	fail(err)
	fmt.Println("identity", id.KeyID())
	s, err := certstore.Open(dir, id)
	fail(err)
	if _, in := s.Cluster(); !in {
		fail(s.Bootstrap(context.Background()))
	}
	n := counted(s)
	for {
		fmt.Println("count", n)
		n++
		fail(s.UpdateProfile(context.Background(), certstore.Profile{Attributes: map[string]string{"n": strconv.Itoa(n)}}))
	}
}

// counted returns how far makeChanges has come; -1 if there is no cluster.
func counted(s *certstore.Store) int {
	me, ok := s.Snapshot().ByKey(s.Identity().KeyID())
	if !ok {
		return -1
	}
	n, _ := strconv.Atoi(me.Attributes["n"])
	return n
}

// kills is how often TestFileBackendKilled kills a process: 20 times, or as often as MICROTRUST_KILLS says.
func kills(t *testing.T) int {
	n, err := strconv.Atoi(cmp.Or(os.Getenv("MICROTRUST_KILLS"), "20"))
	require.NoError(t, err)
	return n
}

// TestFileBackendKilled: whenever the process is killed, everything that it said it had stored is there, at most one change
// more, and the store opens.
func TestFileBackendKilled(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	key, said, more := "", -1, 0
	for range kills(t) {
		c := startChild(t, "changes", dir)
		lines := random.IntN(12)
		moment := time.After(time.Duration(random.IntN(3000)) * time.Microsecond)
		for i := 0; ; i++ {
			if i == lines {
				<-moment // somewhere within what it does next
				require.NoError(t, c.cmd.Process.Kill())
			}
			line, ok := c.next()
			if !ok {
				break
			}
			require.NotContains(t, line, "failed")
			if text, found := strings.CutPrefix(line, "identity "); found {
				require.True(t, key == "" || key == text, "an identity that was used does not change")
				key = text
			}
			if text, found := strings.CutPrefix(line, "count "); found {
				n, err := strconv.Atoi(text)
				require.NoError(t, err)
				require.GreaterOrEqual(t, n, said)
				said = n
			}
		}
		require.Error(t, c.cmd.Wait(), "it was killed")
		if key == "" {
			continue // before there was an identity
		}
		id, err := certstore.LoadIdentity(dir, nil)
		require.NoError(t, err)
		require.Equal(t, key, id.KeyID().String())
		s, err := certstore.Open(dir, id)
		require.NoError(t, err)
		n := counted(s)
		require.NoError(t, s.Close())
		require.GreaterOrEqual(t, n, said, "what it said is there")
		require.LessOrEqual(t, n, said+1, "and at most one change more")
		if n > said {
			more++
		}
		data, err := os.ReadFile(filepath.Join(dir, "trust.jsonl"))
		require.NoError(t, err)
		require.Equal(t, n+1, bytes.Count(data, []byte{'\n'}), "one line for each change")
		said = n
	}
	t.Logf("%d changes, of which %d were whole when the process was killed before it said so", said, more)
	require.Positive(t, said)
}
