package certstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// crashes runs random workloads on a disk, and opens what is left of it after every possible loss of power.
type crashes struct {
	*pool
	random *rand.Rand
	id     *certstore.Identity // signs checkpoints; may be nil
	lies   certstore.Lies
	parsed map[string]parsed
	disk   *certstore.Disk
	events []event
	cuts   int
	opened int
}

type parsed struct {
	batch certstore.Batch
	err   error
}

// event is that from this operation on, content is what the file may hold; if it is acknowledged, what it holds at least.
type event struct {
	at      int
	content []byte
	acked   bool
}

// parse remembers what whole lines hold, since thousands of crashes leave the same ones.
func (c *crashes) parse(lines []byte, checked int64) (certstore.Batch, error) {
	key := strconv.FormatInt(checked, 10) + " " + string(lines)
	p, known := c.parsed[key]
	if !known {
		p.batch, p.err = certstore.ParseLines(lines, checked)
		c.parsed[key] = p
	}
	return p.batch, p.err
}

func (c *crashes) open(d *certstore.Disk) (certstore.Backend, certstore.Batch, error) {
	b, err := certstore.OpenFileBackendOn(d, c.id, c.parse)
	if err != nil {
		return nil, certstore.Batch{}, err
	}
	batch, err := b.Load(context.Background())
	return b, batch, err
}

func (c *crashes) happens(content []byte, acked bool) {
	c.events = append(c.events, event{at: c.disk.Len(), content: content, acked: acked})
}

// allowed returns what the file may hold after a crash while operation next is under way: what was acknowledged last, and
// what was tried since.
func (c *crashes) allowed(next int) [][]byte {
	contents := [][]byte{nil}
	for _, e := range c.events {
		if e.at > next {
			break
		}
		if e.acked {
			contents = contents[:0]
		}
		contents = append(contents, e.content)
	}
	return contents
}

// work opens the store and makes some changes, of which some meet a full disk and one the end of the process.
func (c *crashes) work() error {
	b, _, err := c.open(c.disk)
	if err != nil {
		return fmt.Errorf("opening after the process was killed: %w", err)
	}
	content := c.disk.Content("trust.jsonl")
	c.happens(content, true) // what was read counts as well
	for range 1 + c.random.IntN(3) {
		i := c.random.IntN(len(c.batches))
		next := append(slices.Clone(content), c.lines[i]...)
		c.happens(next, false)
		switch c.random.IntN(6) {
		case 0:
			c.disk.Space = c.random.IntN(2 * len(c.lines[i]))
		case 1:
			c.disk.Stop = c.random.IntN(8)
		}
		err := b.Append(context.Background(), c.batches[i])
		c.disk.Space = -1
		if err == nil {
			content = next
			c.happens(content, true)
		}
		c.disk.FlushLate()
		if errors.Is(err, certstore.ErrKilled) || c.disk.Stop != -1 {
			break
		}
	}
	c.disk.Stop = -1
	return nil
}

// explore opens what is left after a loss of power at every byte of every operation.
func (c *crashes) explore() error {
	for m := c.disk.Moments(); ; {
		allowed := c.allowed(m.Next())
		for cut := range m.Cuts() {
			c.cuts++
			for _, fate := range []certstore.Fate{certstore.All, certstore.Something, certstore.Nothing} {
				if fate == certstore.Nothing && cut > 0 {
					continue // the same again
				}
				if err := c.check(m.Crash(cut, fate, c.random), allowed); err != nil {
					return fmt.Errorf("operation %d, byte %d, fate %d: %w", m.Next(), cut, fate, err)
				}
			}
		}
		if !m.Advance() {
			return nil
		}
	}
}

func (c *crashes) check(d *certstore.Disk, allowed [][]byte) error {
	c.opened++
	b, batch, err := c.open(d)
	if err != nil {
		return err
	}
	content := d.Content("trust.jsonl")
	if !slices.ContainsFunc(allowed, func(a []byte) bool { return bytes.Equal(a, content) }) {
		return fmt.Errorf("%d bytes are left, which is neither the old nor the new state", len(content))
	}
	if want, err := c.parse(content, 0); err != nil || !slices.Equal(idsOf(want.Statements), idsOf(batch.Statements)) {
		return fmt.Errorf("%d statements were loaded, and the file holds %d: %w", len(batch.Statements), len(want.Statements), err)
	}
	if c.opened%16 != 0 {
		return nil
	}
	// It can be written to, and what was opened and written is durable.
	i := c.random.IntN(len(c.batches))
	if err := b.Append(context.Background(), c.batches[i]); err != nil {
		return err
	}
	d.FlushLate()
	want := append(slices.Clone(content), c.lines[i]...)
	m := d.Moments()
	for m.Advance() {
	}
	again := m.Crash(0, certstore.Nothing, c.random)
	if _, _, err := c.open(again); err != nil {
		return fmt.Errorf("after another change: %w", err)
	}
	if !bytes.Equal(want, again.Content("trust.jsonl")) {
		return errors.New("another change did not last")
	}
	return nil
}

// history is a number of days at whose end power is lost, and in between the process killed.
func (c *crashes) history() error {
	c.disk = certstore.NewDisk()
	c.disk.Lies = c.lies
	var before []byte
	for range 3 {
		c.events = []event{{content: before, acked: true}}
		for range 1 + c.random.IntN(2) {
			if err := c.work(); err != nil {
				return err
			}
		}
		if err := c.explore(); err != nil {
			return err
		}
		m := c.disk.Moments()
		for range c.random.IntN(c.disk.Len() + 1) {
			m.Advance()
		}
		c.disk = m.Crash(c.random.IntN(m.Cuts()), certstore.Something, c.random)
		// What is left is one of the allowed states, as was shown above: opening a copy tells which.
		left := c.disk.Moments().Crash(0, certstore.All, c.random)
		if _, _, err := c.open(left); err != nil {
			return err
		}
		before = left.Content("trust.jsonl")
	}
	return nil
}

// pool is what is stored in crashes: lines of one statement, or of several.
type pool struct {
	id      *certstore.Identity
	batches []certstore.Batch
	lines   [][]byte
}

func (p *pool) crashes(seed uint64, lies certstore.Lies) *crashes {
	c := &crashes{pool: p, random: rand.New(rand.NewPCG(seed, 7)), lies: lies, parsed: make(map[string]parsed)}
	if seed%8 == 0 {
		c.id = p.id
	}
	return c
}

func crashPool(t testing.TB) *pool {
	ids := people(t, 12)
	l, genesis := begin(t, ids[0], 1, nil)
	for _, id := range ids[1:5] {
		l.admit(ids[0], id)
	}
	for i := range uint64(8) {
		l.issue(ids[0], &certstore.MemberProfile{Admit: genesis.ID(), Revision: i + 1})
	}
	p, all := &pool{id: ids[0]}, l.all
	for len(all) > 0 {
		n := min(len(all), 1+len(p.batches)%2)
		b := certstore.Batch{Cluster: l.cluster, Statements: all[:n]}
		p.batches, p.lines, all = append(p.batches, b), append(p.lines, encode(t, b)), all[n:]
	}
	return p
}

// cutPoints is how many cut points TestFileBackendCrash goes through: 100,000, or as many as MICROTRUST_CRASH_CUTS says.
func cutPoints(t *testing.T) int64 {
	text := os.Getenv("MICROTRUST_CRASH_CUTS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// TestFileBackendCrash: whenever power is lost, the store opens, and holds everything that was acknowledged and what was
// under way as a whole or not at all.
func TestFileBackendCrash(t *testing.T) {
	want, p := cutPoints(t), crashPool(t)
	var cuts, opened, histories atomic.Int64
	var workers sync.WaitGroup
	var failed atomic.Pointer[error]
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for cuts.Load() < want && failed.Load() == nil {
				seed := uint64(histories.Add(1))
				c := p.crashes(seed, certstore.Lies{})
				err := c.history()
				cuts.Add(int64(c.cuts))
				opened.Add(int64(c.opened))
				if err != nil {
					err = fmt.Errorf("history %d: %w", seed, err)
					failed.Store(&err)
				}
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		t.Fatal(*err)
	}
	t.Logf("crashes: %d cut points in %d histories, %d stores opened", cuts.Load(), histories.Load(), opened.Load())
	require.GreaterOrEqual(t, cuts.Load(), want)
	require.Greater(t, opened.Load(), cuts.Load())
}

// TestPowerIsLostAfterAKill: a process is killed at any moment of a change, the next one finds what it left, which may be whole and not
// flushed, and power is lost then.
func TestPowerIsLostAfterAKill(t *testing.T) {
	p := crashPool(t)
	for stop := range 8 {
		c := p.crashes(uint64(stop), certstore.Lies{})
		c.disk = certstore.NewDisk()
		b, _, err := c.open(c.disk)
		require.NoError(t, err)
		require.NoError(t, b.Append(t.Context(), p.batches[0]))
		before := c.disk.Content("trust.jsonl")
		c.happens(before, true)
		c.happens(slices.Concat(before, p.lines[1]), false)
		c.disk.Stop = stop
		_ = b.Append(t.Context(), p.batches[1])
		c.disk.Stop = -1
		_, _, err = c.open(c.disk)
		require.NoError(t, err)
		m := c.disk.Moments()
		for m.Next() < c.events[0].at {
			m.Advance()
		}
		for ok := true; ok; ok = m.Advance() {
			for range 64 {
				require.NoError(t, c.check(m.Crash(0, certstore.Something, c.random), c.allowed(m.Next())), "killed after %d operations", stop)
			}
		}
	}
}

// TestPowerIsLostAfterAKilledCreation: a process is killed while it makes the file, and what the next one stores there lasts.
func TestPowerIsLostAfterAKilledCreation(t *testing.T) {
	p := crashPool(t)
	for stop := range 5 {
		c := p.crashes(uint64(stop), certstore.Lies{})
		c.disk = certstore.NewDisk()
		c.disk.Stop = stop
		_, _, _ = c.open(c.disk)
		c.disk.Stop = -1
		b, _, err := c.open(c.disk)
		require.NoError(t, err)
		require.NoError(t, b.Append(t.Context(), p.batches[0]))
		c.happens(c.disk.Content("trust.jsonl"), true)
		m := c.disk.Moments()
		for m.Advance() {
		}
		require.NoError(t, c.check(m.Crash(0, certstore.Nothing, c.random), c.allowed(m.Next())), "killed after %d operations", stop)
	}
}

// TestFileBackendCrashBites: a backend that leaves out one of its precautions does not pass.
func TestFileBackendCrashBites(t *testing.T) {
	rows := map[string]certstore.Lies{
		"never flushes the file":                   {NoSync: true},
		"reports success before it flushes":        {LateSync: true},
		"flushes a line and its line feed at once": {OneSync: true},
		"does not flush the directory":             {NoDirSync: true},
		"does not cut off an unfinished line":      {NoTruncate: true},
	}
	p := crashPool(t)
	for name, lies := range rows {
		var err error
		for seed := uint64(1); seed <= 20 && err == nil; seed++ {
			err = p.crashes(seed, lies).history()
		}
		require.Error(t, err, name)
		t.Logf("%s: %v", name, err)
	}
	require.Len(t, rows, 5)
}
