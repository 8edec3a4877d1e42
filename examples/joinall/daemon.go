package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/serving"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/unattended"
)

// daemon is this machine's server, as long as the program runs.
type daemon struct {
	store   *certstore.Store
	service *trust.Service
	address string          // where others reach it
	ctx     context.Context // ends with the program's, and with what ends the server before its time
	stop    func()          // ends everything and waits for it
}

// start opens the directory and serves.
func start(ctx context.Context, o options, id *certstore.Identity, plan *unattended.Plan) (*daemon, error) {
	me, ok := plan.Member(id.Name())
	if !ok {
		return nil, terminal.Usagef("%s names no machine %s; say with -name which one this is", o.config, id.Name())
	}
	listen := o.listen
	if listen == "" {
		listen = me.Address
	}
	if listen == "" {
		return nil, terminal.Usagef("%s has no address for %s; say one with -listen", o.config, id.Name())
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, &terminal.UsageError{Err: err}
	}
	d := &daemon{address: me.Address}
	if d.address == "" {
		d.address = listener.Addr().String()
		if netip.MustParseAddrPort(d.address).Addr().IsUnspecified() {
			return nil, errors.Join(terminal.Usagef("%s has no address for %s, and others cannot dial %s", o.config, id.Name(), d.address), listener.Close())
		}
	}
	if d.store, err = certstore.Open(o.Dir, id); err != nil {
		return nil, errors.Join(&terminal.UsageError{Err: err}, listener.Close())
	}
	if err := d.serve(ctx, listener); err != nil {
		return nil, errors.Join(err, listener.Close(), d.store.Close())
	}
	return d, nil
}

func (d *daemon) serve(ctx context.Context, listener net.Listener) (err error) {
	if d.service, err = trust.NewService(trust.Config{Store: d.store}); err != nil {
		return err
	}
	up, failed := context.WithCancelCause(ctx)
	stop, err := serving.Start(d.store, d.service, listener, failed)
	if err != nil {
		return err
	}
	d.ctx = up
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { d.service.Run(running) })
	d.stop = func() {
		stop()
		cancel()
		background.Wait()
		d.store.Close()
	}
	return nil
}
