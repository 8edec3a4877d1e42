package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// play takes three machines all the way, lets a fourth one join, and takes all of them back.
func play(ctx context.Context, dir string, screen io.Writer) error {
	var machines []*machine
	defer func() {
		for _, m := range machines {
			m.close()
		}
	}()
	for _, name := range []string{"micro01", "micro02", "micro03"} {
		m, err := newMachine(dir, name)
		if err != nil {
			return err
		}
		machines = append(machines, m)
	}
	if err := trustByFiles(machines); err != nil {
		return err
	}
	calls := startCalls(ctx, machines)
	err := errors.Join(calls.flow(ctx), takeOver(ctx, machines, calls, screen))
	joined, errJoin := join(ctx, dir, machines[0])
	if joined != nil {
		machines = append(machines, joined)
	}
	err = errors.Join(err, errJoin)
	for _, m := range machines {
		err = errors.Join(err, m.awaitFiles(ctx, machines))
	}
	if err := errors.Join(err, calls.flow(ctx), calls.end()); err != nil {
		return err
	}
	fmt.Fprintln(screen, "micro04: joined with a passphrase, and every machine has a member file for it")

	back, err := goBack(ctx, machines)
	if err != nil {
		return err
	}
	fmt.Fprintf(screen, "everybody: went back to the member files; %d calls, none refused\n", back)
	fmt.Fprintln(screen, "adopt: 3 machines became a cluster and a 4th one joined; no call between them failed meanwhile")
	return nil
}

// trustByFiles is how the machines are found: each has a file for each, and serves.
func trustByFiles(machines []*machine) error {
	var files []memberfiles.Member
	for _, m := range machines {
		files = append(files, m.file())
	}
	for _, m := range machines {
		if err := errors.Join(memberfiles.Write(m.old.members, files), m.serve()); err != nil {
			return err
		}
	}
	return nil
}

// takeOver founds a cluster on the first machine and has the others adopt it, one after the other.
func takeOver(ctx context.Context, machines []*machine, calls *calls, screen io.Writer) error {
	first := machines[0]
	if err := found(ctx, first.store, first.old.members); err != nil {
		return err
	}
	fmt.Fprintf(screen, "%s: founded a cluster of %d machines from its member files\n", first.name, first.store.Snapshot().Len())
	for _, m := range machines[1:] {
		if err := calls.flow(ctx); err != nil { // some machines trust by the store now, the others by files
			return err
		}
		client, err := m.client(first)
		if err != nil {
			return err
		}
		err = adopt(ctx, m.store, m.old.members, client, "https://"+first.address+"/statements")
		client.CloseIdleConnections()
		if err != nil {
			return err
		}
		fmt.Fprintf(screen, "%s: adopted it, as its own member files name the same machines\n", m.name)
	}
	return calls.flow(ctx)
}

// join has a new machine, which no file ever named, join with a passphrase.
func join(ctx context.Context, dir string, initiator *machine) (*machine, error) {
	m, err := newMachine(dir, "micro04")
	if err != nil {
		return nil, err
	}
	accept := func(session.Offer) session.Decision { return session.Accept }
	s, err := initiator.service.Open(ctx, session.Config{WantNames: []string{m.name}, Policy: accept})
	if err != nil {
		return m, err
	}
	_, err = trust.Join(ctx, initiator.address, trust.JoinConfig{
		Store: m.store, Passphrase: s.Passphrase(), Fingerprint: initiator.store.Identity().Fingerprint(), Addresses: []string{m.address},
	})
	return m, errors.Join(err, m.serve())
}

// awaitFiles waits until the machine's member files name exactly these machines, and their addresses.
func (m *machine) awaitFiles(ctx context.Context, machines []*machine) error {
	var want []memberfiles.Member
	for _, other := range machines {
		want = append(want, other.file())
	}
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !sameFiles(m.old.members, want) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("the member files of %s are not those of the cluster: %w", m.name, ctx.Err())
		}
	}
	return nil
}

func sameFiles(dir string, want []memberfiles.Member) bool {
	have, err := memberfiles.Read(dir)
	return err == nil && slices.EqualFunc(have, want, func(a, b memberfiles.Member) bool {
		return a.Name == b.Name && a.Address == b.Address && a.Certificate.Equal(b.Certificate)
	})
}

// goBack has every machine serve by its member files alone again, and call every other one.
func goBack(ctx context.Context, machines []*machine) (answered int, err error) {
	errs := make([]error, len(machines))
	var changing sync.WaitGroup
	for i, m := range machines {
		changing.Go(func() { errs[i] = m.goBack() })
	}
	changing.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	for _, from := range machines {
		for _, to := range machines {
			if from == to {
				continue
			}
			rt, err := from.old.transport(to.name)
			if err != nil {
				return answered, err
			}
			if err := ask(ctx, &http.Client{Transport: rt}, to); err != nil {
				return answered, fmt.Errorf("%s calls %s: %w", from.name, to.name, err)
			}
			answered++
		}
	}
	return answered, nil
}
