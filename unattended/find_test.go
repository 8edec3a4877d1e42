package unattended_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/unattended"
	"github.com/stretchr/testify/require"
)

// newLink returns a site of two machines whose initiator has no address in the file and a name that nobody else announces.
func newLink(t *testing.T, link string) (s *site, initiator string) {
	t.Helper()
	s = newSite(t, 2, "interface: "+link)
	initiator = fmt.Sprintf("found%d", rand.Uint32())
	s.head = strings.Replace(s.head, "micro01", initiator, 1)
	s.addr[initiator] = s.addr["micro01"]
	s.members[0] = "- {name: " + initiator + "}"
	return s, initiator
}

// TestInitiatorIsFound: without an address, by multicast, with somebody else answering under its name.
func TestInitiatorIsFound(t *testing.T) {
	t.Parallel()
	link := lantest.Loopback(t)
	s, initiator := newLink(t, link)
	impostor := &site{t: t, head: s.head + skip + "\n", members: s.members, addr: map[string]string{initiator: lantest.FreeAddress(t)}, patience: s.patience}
	false1 := impostor.start(initiator)
	ctx, end := enough(t)
	lies := false1.run(ctx) // it knows the passphrase, and announces itself as the initiator

	dir := filepath.Join(t.TempDir(), initiator)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: initiator, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	s.members[0] = fmt.Sprintf("- {name: %s, fingerprint: '%s'}", initiator, id.Fingerprint())
	m2 := s.start("micro02")
	done2 := m2.run(t.Context())
	m2.await("the impostor", func(p unattended.Progress) bool { return p.Join != nil && p.Address == impostor.addr[initiator] })
	done1 := s.startIn(dir, initiator).run(t.Context())
	for _, done := range []<-chan outcome{done1, done2} {
		o := ended(t, done)
		require.NoError(t, o.err)
		require.Equal(t, 2, o.report.Members.Len())
	}
	end()
	require.Equal(t, []string{"micro02 has never been seen"}, listed(missing(t, lies).Missing))
}

// TestInitiatorIsFoundBesideWhoHangs: somebody answers under its name, takes connections, and says nothing.
func TestInitiatorIsFoundBesideWhoHangs(t *testing.T) {
	t.Parallel()
	link := lantest.Loopback(t)
	s, initiator := newLink(t, link)
	s.head += skip + "\ntimeout: 25s\n"
	s.patience = 2 * time.Second
	hangs, err := net.Listen("tcp", lantest.FreeAddress(t)) // the system takes connections, and nobody else does
	require.NoError(t, err)
	t.Cleanup(func() { hangs.Close() })
	a, err := discovery.NewAnnouncer(discovery.Config{
		Name: initiator, Addresses: []string{hangs.Addr().String()}, Interfaces: []string{link}, Open: func() bool { return true },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	announced := make(chan error)
	go func() { announced <- a.Run(ctx) }()
	m2 := s.start("micro02")
	done2 := m2.run(t.Context())
	m2.await("who hangs", func(p unattended.Progress) bool { return p.Join != nil && p.Address == hangs.Addr().String() })
	done1 := s.start(initiator).run(t.Context())
	for _, done := range []<-chan outcome{done1, done2} {
		require.NoError(t, ended(t, done).err)
	}
	cancel()
	<-announced
}

// TestInitiatorIsNotFound: nobody answers, or only what answers in the older format.
func TestInitiatorIsNotFound(t *testing.T) {
	t.Parallel()
	link := lantest.Loopback(t)
	s, initiator := newLink(t, link)
	s.head += skip + "\ntimeout: 2s\n"
	a, err := discovery.NewAnnouncer(discovery.Config{
		Name: initiator + "x", Addresses: []string{lantest.FreeAddress(t)}, Interfaces: []string{link}, Open: func() bool { return true },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	announced := make(chan error)
	go func() { announced <- a.Run(ctx) }()
	m := s.start("micro02")
	missed := missing(t, m.run(t.Context()))
	require.ErrorIs(t, missed, unattended.ErrTime)
	require.ErrorContains(t, missed, "nobody on "+link+" answers as "+initiator)
	cancel()
	<-announced

	nowhere, _ := newLink(t, "nosuchlink0")
	nowhere.head += skip + "\n"
	for _, name := range []string{"micro02", nowhere.plan().Members()[0].Name} {
		require.ErrorIs(t, missing(t, nowhere.start(name).run(t.Context())), discovery.ErrInterface, name)
	}
}
