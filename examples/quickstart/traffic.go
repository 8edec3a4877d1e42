package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// traffic has every machine call every other one, again and again, over connections that it keeps, as daemons do.
type traffic struct {
	stop  context.CancelFunc
	loops sync.WaitGroup
	pairs []*pair
}

// pair is the requests of one machine to another.
type pair struct {
	from, to *daemon
	answered int64         // read once the loop is over, like failure
	failure  error         //
	beat     chan struct{} // receives after an answer, if somebody waits
	over     chan struct{} // closed when the loop is over
}

func (c *cluster) startTraffic(ctx context.Context) *traffic {
	ctx, stop := context.WithCancel(ctx)
	t := &traffic{stop: stop}
	for _, from := range c.daemons {
		for _, to := range c.daemons {
			if from != to {
				p := &pair{from: from, to: to, beat: make(chan struct{}), over: make(chan struct{})}
				t.pairs = append(t.pairs, p)
				t.loops.Go(func() { p.call(ctx) })
			}
		}
	}
	return t
}

// call calls until the first failure or the end of ctx.
func (p *pair) call(ctx context.Context) {
	defer close(p.over)
	client := &http.Client{Transport: p.from.store.Transport(p.to.name), Timeout: requestTime}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		// A request that is under way at the end is finished, so that no failure is blamed on the end.
		if _, err := ask(context.WithoutCancel(ctx), client, p.from, p.to); err != nil {
			p.failure = fmt.Errorf("%s calls %s: %w", p.from.name, p.to.name, err)
			return
		}
		p.answered++
		select {
		case p.beat <- struct{}{}:
		default:
		}
	}
}

// flows waits until every pair has had some more requests answered, or one failed.
func (t *traffic) flows(ctx context.Context) error {
	const some = 10
	for _, p := range t.pairs {
		for range some {
			select {
			case <-p.beat:
			case <-p.over:
				return nil // end tells why
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// end stops all calls and returns how many requests were answered, and what failed.
func (t *traffic) end() (answered int64, failure error) {
	t.stop()
	t.loops.Wait()
	for _, p := range t.pairs {
		answered += p.answered
		failure = errors.Join(failure, p.failure)
	}
	return answered, failure
}
