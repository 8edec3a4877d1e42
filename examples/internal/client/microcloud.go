package client

import (
	"context"
	"errors"
	"net"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/serving"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/trust"
)

// microCloud joins in the format MicroCloud-1.0. The server confirms by a request of its own, so this machine serves meanwhile.
func (d *dialogue) microCloud(ctx context.Context, store *certstore.Store, servers []string) (trust.Result, error) {
	passphrase, err := terminal.MicroCloudPassphrase(ctx, d.screen, d.input, d.passphraseFile, d.hidden)
	if err != nil {
		return trust.Result{}, err
	}
	service, err := trust.NewService(trust.Config{Store: store, MicroCloud: trust.MicroCloudRoles{Joiner: true}})
	if err != nil {
		return trust.Result{}, err
	}
	listener, err := net.Listen("tcp", d.listen)
	if err != nil {
		return trust.Result{}, &terminal.UsageError{Err: err}
	}
	reached := listener.Addr().String()
	if len(d.advertise) > 0 {
		reached = d.advertise[0]
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop, err := serving.Start(store, service, listener, cancel)
	if err != nil {
		return trust.Result{}, errors.Join(err, listener.Close())
	}
	defer stop()
	cfg := d.microCloudConfig(passphrase, reached)
	if len(servers) > 1 {
		cfg.Wait, cfg.Dial = 0, dialSoon // the search has waited
	}
	return d.try(ctx, servers, func(server string) (trust.Result, error) { return service.JoinMicroCloud(ctx, server, cfg) })
}

func (d *dialogue) microCloudConfig(p microcloud.Passphrase, reached string) trust.MicroCloudJoinConfig {
	return trust.MicroCloudJoinConfig{
		Passphrase:              p,
		Address:                 reached,
		Services:                d.services,
		Fingerprint:             d.fingerprint,
		Verify:                  d.verifier(),
		InsecureSkipFingerprint: d.skipFingerprint,
		Found:                   d.foundCluster,
		Wait:                    d.wait,
		Progress:                d.progress,
	}
}
