package trust

import (
	"context"
	"errors"
	"sync"

	"github.com/microtrust/microtrust/certstore"
)

// maxArrived bounds how many statements are remembered by their sender until the journal has taken them in.
const maxArrived = 16384

// replica is this machine's copy of the set, as exchanges read it and add to it.
type replica struct {
	ledgers

	mu      sync.Mutex
	arrived map[certstore.StatementID]string // who sent what the journal has not seen yet
}

func newReplica(store *certstore.Store) *replica {
	return &replica{ledgers: ledgers{store: store}, arrived: map[certstore.StatementID]string{}}
}

// taken is what became of statements that a peer sent.
type taken struct {
	added   int   // new here
	refused int   // left out: they do not verify, are about another cluster, or one too many of their issuer
	because error // why the first of them was refused

	declined []certstore.StatementID // which of those that verify are not here, since they are too many or superseded
}

func (t *taken) refuse(n int, err error) {
	if t.refused += n; t.because == nil {
		t.because = err
	}
}

func (t *taken) add(more taken) {
	t.added += more.added
	if more.refused > 0 {
		t.refuse(more.refused, more.because)
	}
}

// take adds what verifies. The error is the store's own: nothing was stored then.
func (r *replica) take(ctx context.Context, from string, encoded [][]byte) (taken, error) {
	var result taken
	if len(encoded) == 0 {
		return result, nil
	}
	good := make([]*certstore.Statement, 0, len(encoded))
	for _, b := range encoded {
		st, err := certstore.ParseEncodedStatement(b)
		if err != nil {
			result.refuse(1, err)
			continue
		}
		good = append(good, st)
	}
	r.note(from, good)
	added, err := r.store.Merge(ctx, good)
	result.added = added
	if errors.Is(err, certstore.ErrOtherCluster) || errors.Is(err, certstore.ErrIssuerLimit) {
		result.refuse(1, err)
		err = nil
	}
	here := r.now()
	for _, st := range good {
		if here.find(st.ID()) == nil {
			result.declined = append(result.declined, st.ID())
		}
	}
	return result, err
}

// note remembers who sent what is new, before it is stored, so that it is not sent back.
func (r *replica) note(from string, statements []*certstore.Statement) {
	known := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.arrived)+len(statements) > maxArrived {
		clear(r.arrived) // nobody collects them; the price of forgetting is to tell the sender what it knows
	}
	for _, st := range statements {
		if known.find(st.ID()) == nil {
			r.arrived[st.ID()] = from
		}
	}
}

// sender returns who sent a statement, or "" if nobody did, and forgets it.
func (r *replica) sender(id certstore.StatementID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.arrived[id]
	delete(r.arrived, id)
	return from
}
