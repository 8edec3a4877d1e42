package trust

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// TestStandingIsLoggedOncePerChange: losing most of the cluster, having it again, being removed.
func TestStandingIsLoggedOncePerChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		log := &logged{}
		s, err := NewService(Config{Store: p.a.store, Sync: time.Second, Logger: slog.New(slog.NewTextHandler(log, nil))})
		require.NoError(t, err)
		d := &distributor{service: s, ctx: t.Context(), workers: map[string]*worker{"micro02": {}}}
		report := func() {
			for range 3 {
				d.reportStanding()
			}
		}
		const lost, again, removed = "no contact with most of the cluster;", "in contact with most of the cluster again", "this machine was removed from the cluster;"
		report()
		require.Zero(t, log.count(lost), "nobody was tried yet")
		s.contacts.met("micro02", nil)
		report()
		require.Zero(t, log.count(lost))
		s.contacts.met("micro02", errors.New("down"))
		report()
		require.Equal(t, 1, log.count(lost))
		s.contacts.heard("micro02", true)
		report()
		require.Equal(t, 1, log.count(again))
		time.Sleep(maxRest*time.Second + time.Second)
		report()
		require.Equal(t, 2, log.count(lost), "it was too long ago")

		_, err = p.b.store.Remove(t.Context(), certstore.RemoveRequest{Key: p.a.store.Identity().KeyID(), Keep: certstore.KeepKnown})
		require.NoError(t, err)
		_, err = p.a.store.Merge(t.Context(), p.b.store.Statements())
		require.NoError(t, err)
		report()
		require.Equal(t, 1, log.count(removed))
		require.ErrorIs(t, s.Standing(), ErrRemoved)
		require.Empty(t, s.callable(p.a.store.Snapshot()), "it calls nobody any more")
	})
}

func TestMemberStateHasAName(t *testing.T) {
	names := map[string]bool{}
	for _, s := range []MemberState{MemberUnknown, MemberInStep, MemberBehind, MemberUnreachable} {
		names[s.String()] = true
	}
	require.Len(t, names, 4)
}
