package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// callTime is how often a machine calls each of the others.
const callTime = 5 * time.Millisecond

// calls has every machine call every other one again and again, over a new connection each time.
type calls struct {
	stop  context.CancelFunc
	loops sync.WaitGroup
	pairs []*pair
}

// pair is the calls of one machine to another.
type pair struct {
	failure error         // read once over is closed
	beat    chan struct{} // receives after a call, if somebody waits
	over    chan struct{} // closed when there are no more calls
}

func startCalls(ctx context.Context, machines []*machine) *calls {
	ctx, stop := context.WithCancel(ctx)
	c := &calls{stop: stop}
	for _, from := range machines {
		for _, to := range machines {
			if from != to {
				p := &pair{beat: make(chan struct{}), over: make(chan struct{})}
				c.pairs = append(c.pairs, p)
				c.loops.Go(func() { p.call(ctx, from, to) })
			}
		}
	}
	return c
}

// call calls until the first failure or the end of ctx.
func (p *pair) call(ctx context.Context, from, to *machine) {
	defer close(p.over)
	next := time.NewTicker(callTime)
	defer next.Stop()
	for ctx.Err() == nil {
		client, err := from.client(to)
		if err == nil {
			err = ask(context.WithoutCancel(ctx), client, to) // so that no failure is blamed on the end
		}
		if err != nil {
			p.failure = fmt.Errorf("%s calls %s: %w", from.name, to.name, err)
			return
		}
		select {
		case p.beat <- struct{}{}:
		default:
		}
		select {
		case <-next.C:
		case <-ctx.Done():
		}
	}
}

// ask makes one call over a connection of its own.
func ask(ctx context.Context, client *http.Client, to *machine) error {
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+to.address+"/hello", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// flow waits until every pair has made some more calls, or one failed, and returns its failure.
func (c *calls) flow(ctx context.Context) error {
	const some = 5
	for _, p := range c.pairs {
		for range some {
			select {
			case <-p.beat:
			case <-p.over:
				return p.failure
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// end stops all calls and returns what failed.
func (c *calls) end() error {
	c.stop()
	c.loops.Wait()
	var failure error
	for _, p := range c.pairs {
		failure = errors.Join(failure, p.failure)
	}
	return failure
}
