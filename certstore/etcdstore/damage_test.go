package etcdstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/etcdstore"
)

// prefixState is a prefix that a test damages.
type prefixState struct {
	prefix string
	values map[string]string
	batch  certstore.Batch
}

// first returns the first key of a kind.
func (p *prefixState) first(kind string) string {
	for _, key := range slices.Sorted(maps.Keys(p.values)) {
		if strings.HasPrefix(key, p.prefix+kind) {
			return key
		}
	}
	panic("no " + kind)
}

// add stores a value under a key that fits.
func (p *prefixState) add(kind, value string) (key string) {
	sum := sha256.Sum256([]byte(value))
	key = p.prefix + kind + hex.EncodeToString(sum[:])
	p.values[key] = value
	return key
}

// put changes a value and leaves the key.
func (p *prefixState) put(key, old, new string) string {
	if changed := strings.Replace(p.values[key], old, new, 1); changed != p.values[key] {
		p.values[key] = changed
		return key
	}
	panic("nothing changed in " + key)
}

// statement returns how a statement stands in a value, its signature edited.
func statement(s *certstore.Statement, edit func(signature []byte)) string {
	signature := s.Signature()
	edit(signature)
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf(`{"body":"%s","signature":"%s"}`, encode(s.Body()), encode(signature))
}

// addBatch stores a batch of this text, with statements for each %s.
func (p *prefixState) addBatch(format string, statements ...any) (key string) {
	return p.add("/batch/", fmt.Sprintf(`{"format":1,"cluster":"`+p.batch.Cluster.String()+`"`+format, statements...))
}

func TestLoadRefusesDamage(t *testing.T) {
	whole := func([]byte) {}
	batch, other := newBatch(t, 30, 15<<10), newBatch(t, 0, 0)
	good := statement(batch.Statements[0], whole)
	forged := statement(batch.Statements[0], func(b []byte) { b[len(b)-1] ^= 1 })
	tests := []struct {
		reason string
		damage func(*prefixState) (key string)
		want   error // nil: any
	}{
		{"a changed batch", func(p *prefixState) string { return p.put(p.first("/batch/"), `"parts":["`, `"parts":["0`) }, nil},
		{"a batch without value", func(p *prefixState) string { k := p.first("/batch/"); p.values[k] = ""; return k }, nil},
		{"a missing part", func(p *prefixState) string { k := p.first("/part/"); delete(p.values, k); return k }, nil},
		{"an emptied part", func(p *prefixState) string { k := p.first("/part/"); p.values[k] = ""; return k }, nil},
		{"a changed part", func(p *prefixState) string { return p.put(p.first("/part/"), `AA`, `AB`) }, nil},
		{"a part in the place of another", func(p *prefixState) string {
			k := p.first("/part/")
			p.values[k] = p.values[slices.Max(slices.Collect(maps.Keys(p.values)))]
			return k
		}, nil},
		{"no cluster", func(p *prefixState) string { k := p.prefix + "/cluster"; delete(p.values, k); return k }, nil},
		{"a cluster that is none", func(p *prefixState) string { k := p.prefix + "/cluster"; p.values[k] = "?"; return k }, nil},
		{"another cluster", func(p *prefixState) string {
			p.put(p.prefix+"/cluster", p.batch.Cluster.String(), other.Cluster.String())
			return p.first("/batch/")
		}, certstore.ErrOtherCluster},
		{"a newer cluster", func(p *prefixState) string { return p.put(p.prefix+"/cluster", `:1`, `:2`) }, etcdstore.ErrNewerFormat},
		{"a newer batch", func(p *prefixState) string { return p.add("/batch/", `{"format":2}`) }, etcdstore.ErrNewerFormat},
		{"a newer part", func(p *prefixState) string { return p.put(p.first("/part/"), `:1`, `:2`) }, etcdstore.ErrNewerFormat},
		{"a key of somebody else", func(p *prefixState) string { k := p.prefix + "/batch/x"; p.values[k] = "x"; return k }, nil},
		{"an unknown member", func(p *prefixState) string { return p.addBatch(`,"x":1,"statements":[%s]}`, good) }, nil},
		{"an empty batch", func(p *prefixState) string { return p.addBatch(`}`) }, nil},
		{"a batch of both kinds", func(p *prefixState) string {
			return p.addBatch(`,"statements":[%s],"parts":["%s"]}`, good, p.first("/part/")[len(p.prefix+"/part/"):])
		}, nil},
		{"a batch as a part", func(p *prefixState) string {
			whole := p.first("/batch/")
			p.addBatch(`,"parts":["%s"]}`, strings.TrimPrefix(p.add("/part/", p.values[whole]), p.prefix+"/part/"))
			return p.add("/part/", p.values[whole])
		}, nil},
		{"a part that is no hash", func(p *prefixState) string { p.addBatch(`,"parts":["x"]}`); return p.prefix + "/part/x" }, nil},
		{"bytes after the value", func(p *prefixState) string { return p.addBatch(`,"statements":[%s]} {}`, good) }, nil},
		{"a statement of another cluster", func(p *prefixState) string {
			return p.addBatch(`,"statements":[%s,%s]}`, good, statement(other.Statements[0], whole))
		}, certstore.ErrOtherCluster},
		{"a forged signature", func(p *prefixState) string { return p.addBatch(`,"statements":[%s]}`, forged) }, certstore.ErrSignature},
		{"no statement", func(p *prefixState) string { return p.addBatch(`,"statements":[{"body":"AAAA","signature":"AAAA"}]}`) }, certstore.ErrStatement},
	}
	client, suite := shared.client(t, shared.machines[0]), t
	for i, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			p := &prefixState{prefix: fmt.Sprintf("%s/%d", prefixOf(suite), i), batch: batch}
			backend := newBackend(t, etcdstore.Config{Client: client, Prefix: p.prefix})
			require.NoError(t, backend.Append(t.Context(), batch))
			p.values = values(t, client, p.prefix+"/")
			key := tt.damage(p)
			rewrite(t, client, p)

			got, err := backend.Load(t.Context())
			require.Empty(t, got.Statements)
			damage := (*etcdstore.DamageError)(nil)
			require.ErrorAs(t, err, &damage)
			require.Equal(t, key, damage.Key)
			require.Error(t, errors.Unwrap(damage))
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
			}
			require.Equal(t, p.values, values(t, client, p.prefix+"/"), "Load changed nothing")
		})
	}
	require.GreaterOrEqual(t, len(tests), 22)
}

// rewrite makes etcd hold what p says.
func rewrite(t *testing.T, client *clientv3.Client, p *prefixState) {
	t.Helper()
	remove(t, client, p.prefix+"/", clientv3.WithPrefix())
	for key, value := range p.values {
		put(t, client, key, value)
	}
}

// logged is a buffer that a logger writes to.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// TestWatchPassesOverDamage: what is sound still arrives, and the damage is logged.
func TestWatchPassesOverDamage(t *testing.T) {
	batches := split(newBatch(t, 1, 10))
	client := shared.client(t, shared.machines[0])
	log := new(logged)
	backend := newBackend(t, etcdstore.Config{Client: client, Prefix: prefixOf(t), Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, backend.Append(t.Context(), batches[0]))
	_, err := backend.Load(t.Context())
	require.NoError(t, err)
	p := &prefixState{prefix: prefixOf(t), values: map[string]string{}, batch: batches[0]}
	bad := []string{
		p.add("/batch/", "?"), p.add("/batch/", `{"format":2}`), prefixOf(t) + "/batch/x",
		p.addBatch(`,"statements":[%s,%s]}`, statement(batches[1].Statements[0], func([]byte) {}),
			statement(batches[2].Statements[0], func(b []byte) { b[len(b)-1] ^= 1 })),
		p.addBatch(`,"parts":["%s"]}`, strings.Repeat("0", 64)),
	}
	for _, key := range bad {
		put(t, client, key, p.values[key])
	}
	remove(t, client, bad[0])
	require.NoError(t, backend.Append(t.Context(), batches[2]))
	require.Equal(t, ids(batches[2].Statements), ids(firstOf(t, backend).Statements), "nothing of a batch that is damaged in part")
	for _, key := range bad[:4] {
		require.True(t, log.contains(key), key)
	}
	require.True(t, log.contains("/part/000"), "the missing part")
}
