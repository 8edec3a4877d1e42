package trust

import (
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// meanwhile is a way to a member at which something happens before a request gets there.
type meanwhile struct {
	*wireTo
	before func(round int)
}

func (m meanwhile) RoundTrip(r *http.Request) (*http.Response, error) {
	m.before(m.rounds + 1)
	return m.wireTo.RoundTrip(r)
}

// TestSetsThatChangeMeanwhile: what both are about to compare comes to the other one from elsewhere, and something else with it. That
// there is nothing left to send then does not mean that they stay different.
func TestSetsThatChangeMeanwhile(t *testing.T) {
	p := newPair(t)
	one := p.admits(t, 0, 1)
	other := p.admits(t, 1, 2)
	for i := 2; other[0].ID()[0] == one[0].ID()[0]; i++ { // in another bucket
		other = p.admits(t, i, i+1)
	}
	give(t, p.a, one)
	w := &wireTo{handler: p.b.Handler(), as: p.a.store.Identity()}
	way := meanwhile{w, func(round int) {
		if round == 2 {
			give(t, p.b, []*certstore.Statement{one[0], other[0]})
		}
	}}
	x, err := p.a.replica.reconcile(t.Context(), &http.Client{Transport: way}, "micro02", nil)
	require.NoError(t, err)
	require.Equal(t, 1, x.added)
	require.Equal(t, p.a.store.Snapshot().Digest(), p.b.store.Snapshot().Digest())
}
