package certstore

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Moment is a point between two operations of a disk's past, beginning with the first.
type Moment struct {
	disk  *Disk
	next  int
	state map[*inode]*kept
}

// kept is what of an inode is durable, and what happened to it since.
type kept struct {
	durable
	pending []diskOp
}

// Moments returns the moment before the first operation.
func (d *Disk) Moments() *Moment { return &Moment{disk: d, state: make(map[*inode]*kept)} }

// Next is the number of operations that are over.
func (m *Moment) Next() int { return m.next }

// Cuts is how many bytes of the operation under way can have been carried out, at least one: none.
func (m *Moment) Cuts() int {
	if m.next == len(m.disk.log) {
		return 1
	}
	return max(1, len(m.disk.log[m.next].data))
}

// Advance lets the operation under way end. It returns false when there is none.
func (m *Moment) Advance() bool {
	if m.next == len(m.disk.log) {
		return false
	}
	op := m.disk.log[m.next]
	k := m.of(op.on)
	if !op.sync {
		k.pending = append(k.pending, op)
	} else {
		for _, done := range k.pending {
			done.apply(&k.data, k.entries)
		}
		k.pending = nil
	}
	m.next++
	return true
}

func (m *Moment) of(n *inode) *kept {
	if m.state[n] == nil {
		m.state[n] = &kept{durable: durable{data: n.base.data, entries: maps.Clone(n.base.entries)}}
		if n.dir && n.base.entries == nil {
			m.state[n].entries = make(map[string]*inode)
		}
	}
	return m.state[n]
}

// Fate is what becomes of everything that was not flushed.
type Fate int

// The fates: all of it is there; nothing is; something is, as a source of random numbers has it.
const (
	All Fate = iota
	Nothing
	Something
)

// Crash returns a disk as it may be found when power was lost after cut bytes of the operation under way.
func (m *Moment) Crash(cut int, fate Fate, random *rand.Rand) *Disk {
	var partial diskOp
	if cut > 0 {
		partial = m.disk.log[m.next]
		partial.data = partial.data[:cut]
	}
	var build func(n *inode) *inode
	build = func(n *inode) *inode {
		k := m.of(n)
		data, entries := k.data, maps.Clone(k.entries)
		apply := func(op diskOp) {
			if fate == All || fate == Something && op.mutilate(data, random) {
				op.apply(&data, entries)
			}
		}
		for _, op := range k.pending {
			apply(op)
		}
		if partial.on == n {
			apply(partial)
		}
		c := &inode{dir: n.dir, mode: n.mode, data: data}
		if n.dir {
			c.entries = make(map[string]*inode, len(entries))
			for name, child := range entries {
				c.entries[name] = build(child)
			}
		}
		c.base = durable{data: c.data, entries: maps.Clone(c.entries)}
		return c
	}
	return &Disk{Space: -1, Stop: -1, Lies: m.disk.Lies, root: build(m.disk.root)}
}

// mutilate decides whether a pending operation takes place, and leaves of a write what a disk might: its beginning, or some
// of its sectors, with what was there before, or zeros, in place of the others.
func (op *diskOp) mutilate(before []byte, random *rand.Rand) bool {
	const size = 512
	if random.IntN(4) == 0 {
		return false
	}
	if len(op.data) == 0 || random.IntN(4) == 0 {
		return true
	}
	op.data = slices.Clone(op.data)
	if random.IntN(2) == 0 {
		op.data = op.data[:1+random.IntN(len(op.data))]
	}
	zeros := random.IntN(3) == 0 // all of it
	for from := 0; from < len(op.data); {
		to := min(len(op.data), from+size-int(op.off+int64(from))%size)
		if zeros || random.IntN(2) == 0 {
			clear(op.data[from:to])
			if at := int(op.off) + from; at < len(before) {
				copy(op.data[from:to], before[at:])
			}
		}
		from = to
	}
	return true
}

// OpenFileBackendOn returns a file backend on a disk. id may be nil: it signs checkpoints, one for each line. parse is
// what ParseLines is, or remembers it.
func OpenFileBackendOn(d *Disk, id *Identity, parse func(lines []byte, checked int64) (Batch, error)) (Backend, error) {
	none := func() error { return nil }
	b, err := openFileBackend(d, func() (func() error, error) { return none, nil })
	if err != nil {
		return nil, err
	}
	b.parse, b.step = parse, 1
	if id != nil {
		b.identity = func() *Identity { return id }
	}
	return b, nil
}

// ParseLines is what a file backend uses to parse whole lines.
func ParseLines(lines []byte, checked int64) (Batch, error) { return parseLines(lines, checked) }

// LoadOrCreateIdentityOn is LoadOrCreateIdentity on a disk.
func LoadOrCreateIdentityOn(d *Disk, cfg IdentityConfig) (*Identity, error) {
	return loadOrCreate(d, cfg)
}
