package trust

import (
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// Statements are divided into buckets by the first byte of their id. Two members that differ in little find out in which
// buckets, and name to each other the ids in those alone.
const (
	buckets     = 256
	sumSize     = 16
	bucketLabel = "microtrust/2 bucket of a trust store"
)

// ledger is the set of a store at one moment. It is immutable and safe for concurrent use.
type ledger struct {
	snapshot   *certstore.Snapshot
	statements []*certstore.Statement // ascending by id
	start      [buckets + 1]int       // bucket b is statements[start[b]:start[b+1]]
	sums       func() []byte          // of all buckets, one after the other, computed when it is first needed
}

func newLedger(snapshot *certstore.Snapshot, statements []*certstore.Statement) *ledger {
	l := &ledger{snapshot: snapshot, statements: statements}
	b := 0
	for i, st := range statements {
		for ; b <= int(st.ID()[0]); b++ {
			l.start[b] = i
		}
	}
	for ; b <= buckets; b++ {
		l.start[b] = len(statements)
	}
	l.sums = sync.OnceValue(l.sum)
	return l
}

func (l *ledger) digest() string { return l.snapshot.Digest().String() }

func (l *ledger) bucket(b int) []*certstore.Statement { return l.statements[l.start[b]:l.start[b+1]] }

func (l *ledger) sum() []byte {
	out := make([]byte, 0, buckets*sumSize)
	for b := range buckets {
		f := wire.NewFields(bucketLabel)
		for _, st := range l.bucket(b) {
			id := st.ID()
			f.Bytes(id[:])
		}
		sum := f.SHA256()
		out = append(out, sum[:sumSize]...)
	}
	return out
}

// differing returns the buckets whose sums are not those of the other side, ascending.
func (l *ledger) differing(theirs []byte) []byte {
	mine := l.sums()
	var out []byte
	for b := range buckets {
		if !slices.Equal(mine[b*sumSize:(b+1)*sumSize], theirs[b*sumSize:(b+1)*sumSize]) {
			out = append(out, byte(b))
		}
	}
	return out
}

// find returns the statement with this id, or nil.
func (l *ledger) find(id certstore.StatementID) *certstore.Statement {
	i, ok := slices.BinarySearchFunc(l.statements, id, func(st *certstore.Statement, id certstore.StatementID) int {
		return st.ID().Compare(id)
	})
	if !ok {
		return nil
	}
	return l.statements[i]
}

// since returns what is in l and was not in old, which may be nil.
func (l *ledger) since(old *ledger) []*certstore.Statement {
	var before, out []*certstore.Statement
	if old != nil {
		before = old.statements
	}
	for _, st := range l.statements {
		for len(before) > 0 && before[0].ID().Compare(st.ID()) < 0 {
			before = before[1:]
		}
		if len(before) == 0 || before[0].ID() != st.ID() {
			out = append(out, st)
		}
	}
	return out
}

// idSize is the number of bytes of an id. Lists of ids travel as one run of bytes.
const idSize = sha256.Size

func appendID(ids []byte, id certstore.StatementID) []byte { return append(ids, id[:]...) }

// eachID splits a run of ids.
func eachID(ids []byte) func(yield func(certstore.StatementID) bool) {
	return func(yield func(certstore.StatementID) bool) {
		for chunk := range slices.Chunk(ids, idSize) {
			if !yield(certstore.StatementID(chunk)) {
				return
			}
		}
	}
}

// ledgers makes each ledger of a store once.
type ledgers struct {
	store  *certstore.Store
	latest atomic.Pointer[ledger]
}

// now returns the ledger of the store's snapshot of this moment.
func (l *ledgers) now() *ledger {
	for {
		snapshot := l.store.Snapshot()
		if have := l.latest.Load(); have != nil && have.snapshot == snapshot {
			return have
		}
		statements := l.store.Statements()
		if l.store.Snapshot() == snapshot { // nothing came between the two
			made := newLedger(snapshot, statements)
			l.latest.Store(made)
			return made
		}
	}
}
