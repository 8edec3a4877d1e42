package server

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/serving"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
)

// daemon is a member that serves the others.
type daemon struct {
	store     *certstore.Store
	before    *certstore.Snapshot // as the store was before anybody could call
	service   *trust.Service
	addresses []string     // that others are told
	reached   string       // the first of them
	failed    <-chan error // gets what ends the server before its time
	rotate    func()       // begins a rotation, how it ended comes from rotated
	rotated   <-chan error // gets what became of a rotation
	stop      func()       // ends everything and waits for it
}

// startDaemon opens the directory, founds a cluster if this machine is in none, and serves.
func startDaemon(ctx context.Context, o options, id *certstore.Identity) (*daemon, error) {
	store, err := certstore.Open(o.Dir, id)
	if err != nil {
		return nil, &terminal.UsageError{Err: err}
	}
	seen, err := observe(o)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	d := &daemon{store: store}
	if err := d.serve(ctx, o, seen); err != nil {
		seen.stop()
		return nil, errors.Join(err, store.Close())
	}
	return d, nil
}

func (d *daemon) serve(ctx context.Context, o options, seen observed) (err error) {
	d.service, err = trust.NewService(trust.Config{
		Store: d.store, MicroCloud: trust.MicroCloudRoles{Initiator: o.microCloud}, Logger: seen.logger, Metrics: seen.metrics,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return &terminal.UsageError{Err: err}
	}
	d.addresses = o.advertise
	if len(d.addresses) == 0 {
		d.addresses = []string{listener.Addr().String()}
	}
	d.reached = d.addresses[0]
	if err := d.publish(ctx, d.addresses, !o.noSession); err != nil {
		return errors.Join(err, listener.Close())
	}
	d.before = d.store.Snapshot()
	failed, rotated := make(chan error, 1), make(chan error, 1)
	stop, err := serving.Start(d.store, d.service, listener, func(err error) { failed <- err })
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { d.service.Run(running) })
	d.failed, d.rotated = failed, rotated
	d.rotate = func() {
		background.Go(func() {
			err := d.service.Rotate(running)
			select {
			case rotated <- err:
			case <-running.Done():
			}
		})
	}
	d.stop = func() {
		stop()
		cancel()
		background.Wait()
		seen.stop()
		d.store.Close()
	}
	return nil
}

// publish tells the cluster where this machine is reached, after founding one if need be and if it may.
func (d *daemon) publish(ctx context.Context, addresses []string, found bool) error {
	_, ok := d.store.Cluster()
	switch {
	case !ok && !found:
		return terminal.Usagef("this machine is in no cluster: join one with joinclient, or found one by running joinserver without -no-session")
	case !ok:
		return d.store.Bootstrap(ctx, addresses...)
	}
	var attributes map[string]string
	if me, ok := d.store.Snapshot().ByFingerprint(d.store.Identity().Fingerprint()); ok {
		attributes = me.Attributes
	}
	return d.store.UpdateProfile(ctx, certstore.Profile{Addresses: addresses, Attributes: attributes})
}
