package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/microtrust/microtrust/trust"
)

// honestTold is what the honest machines are told.
type honestTold struct {
	Server  serverSays
	For     time.Duration // how long new ones begin
	Cadence time.Duration // from one to the next, whether that one has ended or not
	Mode    string        // where attacks come from, which says where they come from
}

// honestSays is what became of them.
type honestSays struct {
	Joins, Exchanges []honestAct
}

// honestAct is what became of one join, or of one exchange.
type honestAct struct {
	Took  time.Duration
	Error string
}

func timed(act func() error) (a honestAct) {
	began := time.Now()
	err := act()
	a.Took = time.Since(began)
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// patience is when a machine gives up, which counts as a failure.
const patience = 30 * time.Second

// beHonest lets one machine after the other join, while another one, which is a member, exchanges with the server as often. They
// begin at fixed times, so that what is slow makes nothing else late, and each machine has an address of its own.
func beHonest(ctx context.Context, in *json.Decoder, out *json.Encoder) error {
	var told honestTold
	if err := in.Decode(&told); err != nil {
		return err
	}
	n := int(told.For / told.Cadence)
	joiners := make([]*joiner, n)
	for i := range joiners {
		var err error
		if joiners[i], err = newJoiner(fmt.Sprintf("honest%d", i), told.Server, honestSource(told.Mode, 1+i)); err != nil {
			return err
		}
	}
	member, err := newHonestMember(ctx, told)
	if err != nil {
		return err
	}
	says := honestSays{make([]honestAct, n), make([]honestAct, n)}
	var all sync.WaitGroup
	tick := time.NewTicker(told.Cadence)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		all.Go(func() { says.Joins[i] = timed(func() error { return joiners[i].join(ctx) }) })
		all.Go(func() { says.Exchanges[i] = timed(func() error { return exchange(ctx, member) }) })
	}
	all.Wait()
	return out.Encode(says)
}

func newHonestMember(ctx context.Context, told honestTold) (*trust.Service, error) {
	j, err := newJoiner("honest", told.Server, honestSource(told.Mode, 0))
	if err != nil {
		return nil, err
	}
	if err := j.join(ctx); err != nil {
		return nil, err
	}
	j.cfg.Store.DialWith(j.cfg.Dial)
	return trust.NewService(trust.Config{Store: j.cfg.Store, Logger: slog.New(slog.DiscardHandler)})
}

// tries is how often a member calls before its exchange counts as failed. Service.Run goes on for ever.
const tries = 5

// exchange makes the sets of the member and of the server equal. That they differ again already is no failure, and neither is a
// connection that was ended for others before anything was asked over it: then the member calls again, as Service.Run does.
func exchange(ctx context.Context, member *trust.Service) (err error) {
	for range tries {
		if err = exchangeOnce(ctx, member); err == nil {
			return nil
		}
	}
	return err
}

func exchangeOnce(ctx context.Context, member *trust.Service) error {
	for _, st := range member.Reach(ctx) {
		if st.Member.Name == serverName && (st.State == trust.MemberInStep || st.State == trust.MemberBehind) {
			return nil
		} else if st.Member.Name == serverName {
			return fmt.Errorf("%s is %v: %w", serverName, st.State, st.Err)
		}
	}
	return fmt.Errorf("%s is no member", serverName)
}
