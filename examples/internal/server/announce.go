package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
)

// announcement is what machines on the network are told while a session is open.
type announcement struct {
	failed <-chan error // gets what keeps it from being told
	stop   func()       // ends it and waits for it
}

// announce answers machines that search on the interfaces of the command line, if there are any.
func announce(o options, d *daemon, s *session.Session) (announcement, error) {
	if len(o.interfaces) == 0 {
		return announcement{stop: func() {}}, nil
	}
	if err := checkReached(d.addresses, o.interfaces); err != nil {
		return announcement{}, err
	}
	announcer, err := discovery.NewAnnouncer(discovery.Config{
		Name: d.store.Identity().Name(), Addresses: d.addresses, Interfaces: o.interfaces, Open: s.Open, Legacy: o.microCloud,
	})
	if err != nil {
		return announcement{}, &terminal.UsageError{Err: err}
	}
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() {
		err := announcer.Run(ctx)
		if errors.Is(err, discovery.ErrInterface) {
			err = &terminal.UsageError{Err: fmt.Errorf("-interface: %w", err)}
		}
		if ctx.Err() == nil {
			failed <- err
		}
	})
	return announcement{failed: failed, stop: func() {
		cancel()
		running.Wait()
	}}, nil
}

// checkReached keeps a machine from telling others an address that is theirs.
func checkReached(addresses, interfaces []string) error {
	for _, name := range interfaces {
		i, err := net.InterfaceByName(name)
		if err == nil && i.Flags&net.FlagLoopback != 0 {
			continue
		}
		for _, address := range addresses {
			if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().IsLoopback() {
				return terminal.Usagef("-interface: others on %s cannot reach %s; say with -listen or -advertise where they can", name, address)
			}
		}
	}
	return nil
}
