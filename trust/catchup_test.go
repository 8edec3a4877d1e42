package trust_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// brisk is a config by which tests need not wait.
var brisk = trust.Config{Sync: 100 * time.Millisecond}

// cluster makes serving members of one cluster without joins, called micro01 and so on; each has the whole set.
func cluster(t *testing.T, n int) []*machine {
	t.Helper()
	machines := make([]*machine, n)
	for i := range machines {
		machines[i] = newMachine(t, fmt.Sprintf("micro%02d", i+1)).serve(brisk)
	}
	found(t, machines)
	return machines
}

// found makes machines that are in no cluster the members of one.
func found(t *testing.T, machines []*machine) {
	t.Helper()
	first := machines[0].store
	require.NoError(t, first.Bootstrap(t.Context(), machines[0].addr))
	for _, m := range machines[1:] {
		id := m.store.Identity()
		_, err := first.Admit(t.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name()})
		require.NoError(t, err)
	}
	id, _ := first.Cluster()
	for _, m := range machines[1:] {
		profile, err := m.store.Adopt(t.Context(), certstore.AdoptRequest{
			Cluster: id, Digest: first.Snapshot().Digest(), Statements: first.Statements(), Addresses: []string{m.addr},
		})
		require.NoError(t, err)
		_, err = first.Merge(t.Context(), []*certstore.Statement{profile})
		require.NoError(t, err)
	}
	for _, m := range machines[1:] {
		_, err := m.store.Merge(t.Context(), first.Statements())
		require.NoError(t, err)
	}
	same(t, machines...)
}

// end ends the daemon with all that it does of itself.
func (m *machine) end() {
	m.stop()
	m.down()
}

// up starts the machine's daemon anew, after down.
func (m *machine) up(cfg trust.Config) {
	m.t.Helper()
	ln, err := net.Listen("tcp", m.addr)
	require.NoError(m.t, err)
	m.serveOn(ln, cfg, nil)
}

// rotate gives the machine a new key, all at once, and forgets the old one.
func (m *machine) rotate() {
	m.t.Helper()
	ctx := context.Background()
	require.NoError(m.t, m.store.Rotate(ctx))
	require.NoError(m.t, m.store.SwitchIdentity(ctx))
	require.NoError(m.t, m.store.RetireIdentity(ctx))
}

// spread gives each of the machines what all of them have.
func spread(t *testing.T, machines ...*machine) {
	t.Helper()
	for _, to := range machines {
		for _, from := range machines {
			_, err := to.store.Merge(t.Context(), from.store.Statements())
			require.NoError(t, err)
		}
	}
	same(t, machines...)
}

// eventuallySame waits until all machines have the same set, of so many members.
func eventuallySame(t *testing.T, members int, machines ...*machine) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, m := range machines {
			if m.store.Snapshot().Digest() != machines[0].store.Snapshot().Digest() || m.store.Snapshot().Len() != members {
				return false
			}
		}
		return true
	}, 30*time.Second, 5*time.Millisecond)
}

func TestAbsentWhileEverybodyRotated(t *testing.T) {
	m := cluster(t, 4)
	absent, others := m[3], m[:3]
	absent.down()
	for range 3 { // so that the keys between the one that is known and the present one are known to nobody absent
		for _, o := range others {
			o.rotate()
		}
	}
	spread(t, others...)
	for _, o := range others {
		require.False(t, absent.store.Snapshot().Trusts(o.store.Identity().Fingerprint()))
		o.run()
	}
	absent.up(brisk)
	absent.run()
	eventuallySame(t, 4, m...)
}

func TestAbsentRotatesItself(t *testing.T) {
	// It changed its key alone: the others don't know its certificate, and believe its statements.
	m := cluster(t, 3)
	m[2].rotate()
	for _, o := range m {
		o.run()
	}
	eventuallySame(t, 3, m...)
}

func TestAllRotateApart(t *testing.T) {
	// Nobody knows anybody's present certificate.
	m := cluster(t, 4)
	for _, o := range m {
		o.rotate()
	}
	for _, o := range m {
		o.run()
	}
	eventuallySame(t, 4, m...)
}

func TestAbsentAndRemoved(t *testing.T) {
	for name, missed := range map[string]func(o []*machine){
		"and nothing else": func([]*machine) {},
		"and all rotated": func(o []*machine) {
			for _, m := range o {
				m.rotate()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := cluster(t, 3)
			absent, others := m[2], m[:2]
			key := absent.store.Identity().KeyID()
			absent.down()
			_, err := others[0].store.Remove(t.Context(), certstore.RemoveRequest{Key: key, Keep: certstore.KeepKnown})
			require.NoError(t, err)
			spread(t, others...)
			missed(others)
			spread(t, others...)
			for _, o := range others {
				o.run()
			}
			before := len(absent.store.Statements())
			absent.up(brisk)
			require.NotErrorIs(t, absent.svc.Standing(), trust.ErrRemoved)
			absent.run()
			require.Eventually(t, func() bool { return absent.store.Snapshot().Gone(key) }, 30*time.Second, 5*time.Millisecond)
			require.ErrorIs(t, absent.svc.Standing(), trust.ErrRemoved)
			require.LessOrEqual(t, len(absent.store.Statements()), before+3, "it is told of its removal, and nothing else")
			require.Equal(t, 2, others[0].store.Snapshot().Len())
		})
	}
}

func TestAbsentRotatesAndIsRemoved(t *testing.T) {
	// The others removed the key that they know; the one that has replaced it is shown that removal.
	m := cluster(t, 3)
	absent, others := m[2], m[:2]
	key := absent.store.Identity().KeyID()
	absent.down()
	absent.rotate()
	_, err := others[0].store.Remove(t.Context(), certstore.RemoveRequest{Key: key, Keep: certstore.KeepNone})
	require.NoError(t, err)
	spread(t, others...)
	for _, o := range others {
		o.run()
	}
	absent.up(brisk)
	absent.run()
	require.Eventually(t, func() bool { return absent.svc.Standing() == trust.ErrRemoved }, 30*time.Second, 5*time.Millisecond)
	require.False(t, others[0].store.Snapshot().Trusts(absent.store.Identity().Fingerprint()))
}

func TestPartitionOfTwoHalves(t *testing.T) {
	// Both halves admit, remove and rotate; then they meet.
	m := cluster(t, 6)
	left, right := m[:3], m[3:]
	for i, half := range [][]*machine{left, right} {
		guest := newMachine(t, fmt.Sprintf("guest%02d", i)).store.Identity()
		_, err := half[0].store.Admit(t.Context(), certstore.AdmitRequest{Certificate: guest.Certificate(), Name: guest.Name()})
		require.NoError(t, err)
		spread(t, half...)
		for _, o := range half {
			o.rotate()
		}
		spread(t, half...)
		_, err = half[1].store.Remove(t.Context(), certstore.RemoveRequest{Key: half[2].store.Identity().KeyID(), Keep: certstore.KeepKnown})
		require.NoError(t, err)
		spread(t, half[:2]...)
	}
	rest := []*machine{m[0], m[1], m[3], m[4]}
	for _, o := range m {
		o.run()
	}
	eventuallySame(t, 6, rest...) // four machines and two guests
	for _, removed := range []*machine{m[2], m[5]} {
		require.Eventually(t, func() bool { return removed.svc.Standing() == trust.ErrRemoved }, 30*time.Second, 5*time.Millisecond)
	}
}
