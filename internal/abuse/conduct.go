package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// row is what one attack from one kind of source came to.
type row struct {
	attack, sources string
	joins, joined   int
	median, p99     time.Duration
	units           int
	each            time.Duration // the attack's duration
	spent           time.Duration // the server's processor time for one hostile unit
	peak            int           // the most that the server held, in bytes
	guesses         int64         // that were verified
	open            bool          // the session outlived it
	failures        map[string]int

	exchanges, exchanged int // of a member, meanwhile
	exchangeP99          time.Duration
	answers              map[int]int
}

// figures are what rows are compared with, measured in the same run.
type figures struct {
	handshake time.Duration // the server's processor time for a bare mutual TLS handshake
	join      time.Duration // and for a join, with an exchange
	calm      row           // joins and exchanges that nobody disturbs
}

// conduct runs all that is asked for, prints the table, and returns how many aims were missed.
func conduct(ctx context.Context, o options, out io.Writer) (missed int, err error) {
	var base figures
	if base.handshake, err = measureHandshake(ctx); err != nil {
		return 0, err
	}
	if base.calm, err = measure(ctx, o, attack{}, "", &base); err != nil {
		return 0, err
	}
	printHead(out, o, base)
	var all []row
	for m, mode := range o.sources {
		for n, name := range o.attacks {
			if o.short && n%len(o.sources) != m {
				continue
			}
			a, _ := attackOf(name)
			r, err := measure(ctx, o, a, mode, &base)
			if err != nil {
				return 0, fmt.Errorf("%s from %s: %w", name, mode, err)
			}
			missed += printRow(out, r, base, o.short, a.mayHold())
			all = append(all, r)
		}
	}
	printFoot(out, all, missed)
	return missed, nil
}

// measure runs one attack while machines join; without a name, only the joins.
func measure(ctx context.Context, o options, a attack, mode string, base *figures) (row, error) {
	r := row{attack: a.name, sources: mode, each: o.each}
	server, says, err := startServer(ctx, serverTold{MicroCloud: a.microCloud, Host: hostOf(mode)})
	if err != nil {
		return r, err
	}
	defer server.end()
	before, err := server.processor()
	if err != nil {
		return r, err
	}
	honest, err := startRole(ctx, roleHonest, honestTold{Server: says, For: o.each, Cadence: o.cadence, Mode: mode})
	if err != nil {
		return r, err
	}
	var did attackerSays
	if a.name != "" {
		public := says
		if !a.member {
			public.Passphrase = ""
		}
		attacker, err := startRole(ctx, roleAttacker, attackerTold{Name: a.name, Mode: mode, Server: public, For: o.each})
		if err != nil {
			return r, err
		}
		if err := errors.Join(attacker.out.Decode(&did), attacker.end()); err != nil {
			return r, err
		}
	}
	var became honestSays
	if err := errors.Join(honest.out.Decode(&became), honest.end()); err != nil {
		return r, err
	}
	r.honest(became)
	r.units, r.answers = did.Units, did.Answers
	return r, r.server(server, before, base)
}

// honest counts what honest machines did.
func (r *row) honest(says honestSays) {
	r.failures = map[string]int{}
	count := func(acts []honestAct) (good int, took []time.Duration) {
		for _, a := range acts {
			if took = append(took, a.Took); a.Error == "" {
				good++
			} else {
				r.failures[a.Error]++
			}
		}
		slices.Sort(took)
		return good, took
	}
	var took []time.Duration
	r.exchanged, took = count(says.Exchanges)
	r.exchanges, r.exchangeP99 = len(took), quantile(took, 0.99)
	r.joined, took = count(says.Joins)
	r.joins, r.median, r.p99 = len(took), quantile(took, 0.5), quantile(took, 0.99)
}

// quantile returns the smallest value that at least this share of all is not above.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	at := int(share * float64(len(sorted)))
	if float64(at) == share*float64(len(sorted)) {
		at--
	}
	return sorted[max(at, 0)]
}

// server asks the daemon what it counted, and the kernel what it held and spent.
func (r *row) server(p *process, before time.Duration, base *figures) error {
	after, err := p.processor()
	if err != nil {
		return err
	}
	if r.peak, err = p.peak(); err != nil {
		return err
	}
	var count serverCount
	if err := errors.Join(p.say.Encode(struct{}{}), p.out.Decode(&count)); err != nil {
		return err
	}
	r.guesses, r.open = count.WrongProofs, count.Open
	switch {
	case r.attack == "":
		base.join = (after - before) / time.Duration(max(r.joined, 1))
	case r.units > 0:
		r.spent = max(0, after-before-time.Duration(r.joined)*base.join) / time.Duration(r.units)
	}
	return nil
}

func startServer(ctx context.Context, told serverTold) (*process, serverSays, error) {
	var says serverSays
	p, err := startRole(ctx, roleServer, told)
	if err != nil {
		return nil, says, err
	}
	return p, says, p.out.Decode(&says)
}

// measureHandshake returns the server's processor time for a mutual TLS handshake of two machines with the default key, one
// after the other.
func measureHandshake(ctx context.Context) (time.Duration, error) {
	const many = 300
	server, says, err := startServer(ctx, serverTold{Host: hostOf("")})
	if err != nil {
		return 0, err
	}
	defer server.end()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "bare"})
	if err != nil {
		return 0, err
	}
	config, _ := certstore.JoinerTLS(id, trust.Protocol, anybody)
	before, err := server.processor()
	if err != nil {
		return 0, err
	}
	for i := range many {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(i), 1)}}
		conn, err := tls.DialWithDialer(dialer, "tcp", says.Address, config)
		if err != nil {
			return 0, err
		}
		conn.Close()
	}
	after, err := server.processor()
	return (after - before) / many, err
}
