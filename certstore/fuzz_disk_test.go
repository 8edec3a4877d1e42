package certstore_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// shelf is what fuzzed files of a trust store are put together from.
type shelf struct {
	own, other *certstore.Identity
	batches    []certstore.Batch // of one cluster, in their order
	lines      [][]byte          // theirs, and behind them some that are sound but for what they state
}

func newShelf(t testing.TB) *shelf {
	ids := people(t, 3)
	_, all := batches(t)
	s := &shelf{own: ids[0], other: ids[1], batches: all}
	foreign, genesis := begin(t, ids[1], 9, nil)
	forged := certstore.WithSignature(all[1].Statements[0], make([]byte, 64))
	for _, b := range append(slices.Clone(all),
		certstore.Batch{Cluster: foreign.cluster, Statements: []*certstore.Statement{genesis}},
		certstore.Batch{Cluster: all[0].Cluster, Statements: []*certstore.Statement{forged}}) {
		s.lines = append(s.lines, encode(t, b))
	}
	return s
}

// write makes a trust.jsonl and a checkpoint by a script: whole lines, lines with a byte changed whose checksum was made right
// again, or not, anything, a cut-off end; and checkpoints by this machine over what it would have verified, by another one over
// anything, and damaged ones.
func (s *shelf) write(t *testing.T, from *script, raw []byte) (trust, checkpoint []byte) {
	for len(from.rest) > 0 && len(trust) < 16<<10 {
		line := bytes.Clone(s.lines[from.pick(len(s.lines))])
		at := (from.pick(256)<<8 | from.pick(256)) % (len(line) - len(noSum))
		switch from.pick(8) {
		case 0, 1, 2:
			trust = append(trust, line...)
		case 3:
			line[at] ^= byte(1 + from.pick(255))
			trust = append(trust, resum(string(line))...)
		case 4:
			line[at] ^= byte(1 + from.pick(255))
			trust = append(trust, line...)
		case 5:
			trust = append(trust, raw...)
		case 6:
			trust = append(trust, line[:at]...)
		case 7:
			checkpoint = s.checkpoint(t, from, trust)
		}
	}
	return trust, checkpoint
}

func (s *shelf) checkpoint(t *testing.T, from *script, trust []byte) []byte {
	by := s.own
	if _, size, err := certstore.ParseTrustFile(trust); err != nil || int(size) != len(trust) || from.pick(3) == 0 {
		by = s.other // this machine signs nothing but what it has verified
	}
	text, err := certstore.SignCheckpoint(by, trust)
	require.NoError(t, err)
	if from.pick(3) == 0 {
		text[from.pick(len(text))] ^= byte(1 + from.pick(255))
	}
	return text
}

// load opens the files as a file backend, and returns with what it loads what is on the disk afterwards.
func (s *shelf) load(t *testing.T, trust, checkpoint []byte) (certstore.Batch, *certstore.Disk, error) {
	files := map[string][]byte{"trust.jsonl": trust}
	if checkpoint != nil {
		files["trust.checked"] = checkpoint
	}
	disk, err := certstore.DurableDisk(files)
	require.NoError(t, err)
	b, err := certstore.OpenFileBackendOn(disk, s.own, certstore.ParseLines)
	require.NoError(t, err)
	batch, err := b.Load(context.Background())
	return batch, disk, err
}

// FuzzTrustDirectory opens what stands in the files of a trust store. A checkpoint changes nothing but the time that takes; what
// is refused stays as it is; and what is not refused is what the lines say, also after the next opening, and can be added to.
func FuzzTrustDirectory(f *testing.F) {
	s := newShelf(f)
	f.Add([]byte{}, []byte{})
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}, []byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 7, 1, 1, 1, 0, 0, 0}, []byte{})                 // a checkpoint of this machine's
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 1, 0, 0, 0}, []byte{})                 // of another one's
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 7, 1, 0, 40, 1, 4, 0, 0, 0}, []byte{})          // a damaged one, and a forged line
	f.Add([]byte{0, 0, 0, 0, 1, 2, 200, 6, 0, 0, 0, 5}, []byte("}\n"))                // a line that was never finished
	f.Add([]byte{0, 0, 0, 0, 1, 0, 60, 3, 2, 0, 0, 0, 3, 0, 0, 0}, []byte(fileBegin)) // another cluster's
	f.Add([]byte{0, 0, 0, 5}, []byte(fileBegin))
	addTo := s.batches[0]
	f.Fuzz(func(t *testing.T, data, raw []byte) {
		trust, checkpoint := s.write(t, &script{rest: data[:min(len(data), longest)]}, raw[:min(len(raw), 2<<10)])
		plain, disk, err := s.load(t, trust, nil)
		quick, _, quickErr := s.load(t, trust, checkpoint)
		require.Equal(t, err == nil, quickErr == nil, "with a checkpoint: %v, without: %v", quickErr, err)
		require.Equal(t, idsOf(plain.Statements), idsOf(quick.Statements))
		if err != nil {
			require.Equal(t, string(trust), string(disk.Content("trust.jsonl")), "what is refused stays as it is")
			return
		}
		mended := disk.Content("trust.jsonl")
		parsed, size, err := certstore.ParseTrustFile(mended)
		require.NoError(t, err)
		require.Len(t, mended, int(size), "whole lines are left")
		require.True(t, bytes.HasPrefix(trust, mended[:max(0, len(mended)-1)]), "nothing but a line feed is added")
		require.Equal(t, idsOf(parsed.Statements), idsOf(plain.Statements))
		s.add(t, disk, plain, addTo)
	})
}

// add appends a batch to what a disk holds and finds both after power was lost.
func (s *shelf) add(t *testing.T, disk *certstore.Disk, held, batch certstore.Batch) {
	b, err := certstore.OpenFileBackendOn(disk, s.own, certstore.ParseLines)
	require.NoError(t, err)
	if err := b.Append(context.Background(), batch); err != nil {
		require.ErrorIs(t, err, certstore.ErrOtherCluster)
		require.NotEqual(t, batch.Cluster, held.Cluster)
		batch.Statements = nil
	}
	m := disk.Moments()
	for m.Advance() {
	}
	after, err := certstore.OpenFileBackendOn(m.Crash(0, certstore.Nothing, nil), s.own, certstore.ParseLines)
	require.NoError(t, err)
	again, err := after.Load(context.Background())
	require.NoError(t, err)
	require.Equal(t, idsOf(slices.Concat(held.Statements, batch.Statements)), idsOf(again.Statements))
}

// FuzzReadStatements reads files that carry statements: what is whole is what the loader reads, and comes back when it is written
// again; of what is damaged, the lines before the damage are shown beside the error.
func FuzzReadStatements(f *testing.F) {
	s := newShelf(f)
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0}, []byte{})
	f.Add([]byte{0, 0, 0, 0, 1, 2, 200, 3, 1, 1, 0, 0, 0}, []byte{})
	f.Add([]byte{0, 0, 0, 0, 1, 2, 200, 6}, []byte{})
	f.Fuzz(func(t *testing.T, data, raw []byte) {
		carried, _ := s.write(t, &script{rest: data[:min(len(data), longest)]}, raw[:min(len(raw), 2<<10)])
		content, err := certstore.ReadStatements(bytes.NewReader(carried))
		parsed, size, parseErr := certstore.ParseTrustFile(carried)
		require.Equal(t, parseErr == nil, err == nil, "%v, and %v", parseErr, err)
		if err != nil {
			lines := bytes.SplitAfter(carried, []byte("\n"))
			before, _, beforeErr := certstore.ParseTrustFile(bytes.Join(lines[:content.Lines], nil))
			require.NoError(t, beforeErr)
			require.Equal(t, idsOf(before.Statements), idsOf(content.Statements))
			return
		}
		require.Equal(t, idsOf(parsed.Statements), idsOf(content.Statements))
		require.Equal(t, len(carried), int(size)+content.Unfinished)
		if len(content.Statements) == 0 {
			return
		}
		var out bytes.Buffer
		require.NoError(t, certstore.WriteStatements(&out, content.Batch))
		again, err := certstore.ReadStatements(&out)
		require.NoError(t, err)
		require.Zero(t, again.Unfinished)
		digest := certstore.Evaluate(content.Cluster, content.Statements).Digest()
		require.Equal(t, digest, certstore.Evaluate(again.Cluster, again.Statements).Digest())
	})
}

// fileBegin is how a line begins.
const fileBegin = `{"format":1,"cluster":"`

// FuzzNotebook writes, lets power fail and writes on: what is read is what was acknowledged last, or what was being written.
func FuzzNotebook(f *testing.F) {
	f.Add([]byte{1, 9, 200, 0, 3, 1, 9, 5, 2}, uint64(1))
	f.Add([]byte{1, 255, 3, 1, 1, 0, 1, 1, 1, 4, 2, 2}, uint64(7))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		disk := certstore.NewDisk()
		n := certstore.NotebookOn(disk, "words")
		var held [][]byte // any of which may be there: the last one acknowledged, and what came after it
		held = append(held, nil)
		for s := (&script{rest: data[:min(len(data), longest)]}); len(s.rest) > 0; {
			if s.pick(3) > 0 {
				disk.Stop = -1
				if stop := s.pick(12); stop < 9 {
					disk.Stop = stop
				}
				text := bytes.Repeat([]byte{byte(len(s.rest))}, 1+7*s.pick(256))
				if err := n.Write(text); err == nil {
					held = [][]byte{text}
				} else {
					held = append(held, text)
				}
			}
			disk.Stop = -1
			crash := s.pick(2) == 0
			if crash {
				m := disk.Moments()
				for m.Advance() {
				}
				disk = m.Crash(0, certstore.Fate(s.pick(3)), random)
				n = certstore.NotebookOn(disk, "words")
			}
			got, err := n.Read()
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(held, func(text []byte) bool { return bytes.Equal(text, got) && (text == nil) == (got == nil) }))
			if crash {
				held = [][]byte{got}
			}
		}
	})
}
