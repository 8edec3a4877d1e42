package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
)

// honestTold is what the honest machines are told.
type honestTold struct {
	Server  serverSays
	For     time.Duration // how long new ones begin
	Cadence time.Duration // from one to the next, whether that one has ended or not
}

// honestJoin is what became of one of them.
type honestJoin struct {
	Took  time.Duration
	Error string
}

// patience is when a machine gives up, which counts as a failure.
const patience = 30 * time.Second

// joinAgainAndAgain lets one machine after the other join. They begin at fixed times, so that a slow join makes none of the
// others late, and each has an address of its own in 127.0.0.0/24.
func joinAgainAndAgain(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	var told honestTold
	if err := in.Decode(&told); err != nil {
		return err
	}
	passphrase, err := hmacauth.ParsePassphrase(told.Server.Passphrase)
	if err != nil {
		return err
	}
	fingerprint, err := certstore.ParseFingerprint(told.Server.Fingerprint)
	if err != nil {
		return err
	}
	joins := make([]honestJoin, int(told.For/told.Cadence))
	stores := make([]*certstore.Store, len(joins))
	for i := range joins {
		id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: fmt.Sprintf("honest%d", i)})
		if err != nil {
			return err
		}
		if stores[i], err = certstore.OpenBackend(certstore.NewMemoryBackend(), id); err != nil {
			return err
		}
	}
	var all sync.WaitGroup
	tick := time.NewTicker(told.Cadence)
	defer tick.Stop()
	for i := range joins {
		<-tick.C
		all.Go(func() {
			began := time.Now()
			limit, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(101+i%100))}}
			_, err := trust.Join(limit, told.Server.Address, trust.JoinConfig{
				Store: stores[i], Passphrase: passphrase, Fingerprint: fingerprint, Wait: patience, Dial: dialer.DialContext,
			})
			joins[i].Took = time.Since(began)
			if err != nil {
				joins[i].Error = err.Error()
			}
		})
	}
	all.Wait()
	return out.Encode(joins)
}
