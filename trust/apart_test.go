package trust

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// orphans returns n statements by a key that nobody admitted, with ids that are smaller than those of half of all
// statements.
func (p *pair) orphans(t *testing.T, n int) []*certstore.Statement {
	t.Helper()
	cluster, _ := p.a.store.Cluster()
	_, nobody, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	var out []*certstore.Statement
	for i := 0; len(out) < n; i++ {
		st, err := certstore.SignRecovery(nobody, cluster, certstore.AdmitRequest{Certificate: p.guest.Certificate(), Name: fmt.Sprintf("orphan%05d", i)})
		require.NoError(t, err)
		if st.ID()[0] < 0x80 {
			out = append(out, st)
		}
	}
	return out
}

// TestFloodHidesNothing: two members that are full of what the other one does not take still tell each other everything
// else, also what has larger ids than all of that.
func TestFloodHidesNothing(t *testing.T) {
	const most = 1024 // orphans in a store
	p := newPair(t)
	give(t, p.a, p.orphans(t, most))
	give(t, p.b, p.orphans(t, most))
	var late []*certstore.Statement
	for i := 0; len(late) < 2; i++ {
		if st := p.admits(t, i, i+1)[0]; st.ID()[0] >= 0xf0 {
			late = append(late, st)
		}
	}
	give(t, p.a, late[:1])
	give(t, p.b, late[1:])

	w := &wireTo{handler: p.b.Handler(), as: p.a.store.Identity()}
	_, err := p.a.replica.reconcile(t.Context(), &http.Client{Transport: w}, "micro02", nil)
	require.ErrorIs(t, err, errApart)
	require.NotNil(t, p.a.replica.now().find(late[1].ID()), "what the other one had")
	require.NotNil(t, p.b.replica.now().find(late[0].ID()), "what this one had")
	require.Less(t, w.rounds, 12)
	t.Logf("%d rounds, %d bytes sent, %d received", w.rounds, w.sent, w.got)
}
