package server

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// console is the dialogue with the person at the server. Everything happens in the goroutine of run, one thing after the
// other: events of the session, lines that were typed, ticks of the clock.
type console struct {
	options
	screen     *terminal.Screen
	input      *terminal.Input
	daemon     *daemon
	microCloud *trust.MicroCloud   // nil without -microcloud
	session    *session.Session    // nil with -no-session
	announced  announcement        // of the session on the network
	known      *certstore.Snapshot // what the screen has told of the members

	offers []session.OfferID // wait for a decision by a person, in the order in which they are asked about
	asked  *question         // the open question, about the first of them
	said   session.OfferID   // was decided just now: the next question waits until the screen says what became of it
	held   *typed            // was read, and waits for its question
	mute   bool              // standard input has ended: nobody will answer
}

// run returns when the program is to end.
func (c *console) run(ctx context.Context) error {
	events, stop := c.events()
	defer stop()
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		c.news()
		if c.accept.Empty() {
			c.ask()
		} else {
			c.decide(ctx)
		}
		if c.asked != nil && c.held != nil {
			in := *c.held
			c.held = nil
			c.answer(ctx, in)
			continue
		}
		c.showRemaining()
		select {
		case ev, ok := <-events:
			if !ok {
				if over, err := c.over(); over {
					return err
				}
				c.announced.stop()
				c.serving("The session is over. ")
				events = nil
				continue
			}
			c.show(ev)
		case line, ok := <-c.answers():
			c.answer(ctx, typed{line, ok})
		case <-ticks.C: // another look at the clock, and at what could not be stored
		case err := <-c.daemon.rotated:
			if err != nil {
				c.screen.Linef("The new key was not taken: %s", terminal.Explain(err))
			}
		case err := <-c.announced.failed:
			return err
		case err := <-c.daemon.failed:
			return err
		case <-ctx.Done():
			return c.interrupt(events)
		}
	}
}

// events hands the session's events to the goroutine of run. The channel is closed when the session has ended, which it does
// when every approved joiner has confirmed, or some time after.
func (c *console) events() (_ <-chan session.Event, stop func()) {
	if c.session == nil {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	events := make(chan session.Event)
	go func() {
		defer close(events)
		for ev := range c.session.Events(ctx) {
			select {
			case events <- ev:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, func() {
		cancel()
		for range events { // until the goroutine has ended
		}
	}
}

// over decides whether the program ends with its session.
func (c *console) over() (bool, error) {
	c.screen.Status("")
	switch joined, away := c.count(session.StateJoined), c.count(session.StateAdmitted); {
	case c.exitWhen > 0 && joined >= c.exitWhen:
		return true, nil
	case c.exitWhen > 0 && away > 0:
		return true, fmt.Errorf("%d of %d machines have joined, and %d more of the members did not confirm it: %w", joined, c.exitWhen, away, c.session.Cause())
	case c.exitWhen > 0:
		return true, fmt.Errorf("%d of %d machines have joined: %w", joined, c.exitWhen, c.session.Cause())
	case machines(c.daemon.store.Snapshot()) == 1:
		return true, fmt.Errorf("nobody has joined: %w", c.session.Cause())
	}
	return false, nil
}

// count counts the machines of this session that are in one state.
func (c *console) count(state session.State) (n int) {
	for _, j := range c.session.Joiners() {
		if j.State == state {
			n++
		}
	}
	return n
}

// interrupt stops the session, so that joiners learn at once, and shows how it ended for them.
func (c *console) interrupt(events <-chan session.Event) error {
	c.screen.Answered(false)
	c.screen.Status("")
	if c.session == nil || !c.session.Open() {
		return nil
	}
	c.stopSession()
	for ev := range events {
		c.show(ev)
		if ev.Kind == session.EventClosed {
			break
		}
	}
	return terminal.ErrInterrupted
}

// stopSession ends the session in the operator's name, so that joiners learn why.
func (c *console) stopSession() {
	c.session.Close(&session.StoppedError{Reason: "the operator of " + c.daemon.store.Identity().Name() + " stopped the session"})
}

// showRemaining keeps the remaining time on the last line of a terminal.
func (c *console) showRemaining() {
	if c.session == nil {
		return
	}
	if left := c.session.Remaining(time.Now()); left > 0 {
		c.screen.Status(fmt.Sprintf("%s left, %d joined; waiting for joiners (help, or Ctrl-C to stop)", terminal.Duration(left), c.count(session.StateJoined)))
	} else {
		c.screen.Status("")
	}
}

// show tells of one event, and keeps account of who waits for a decision.
func (c *console) show(ev session.Event) {
	id := ev.Joiner.ID
	c.screen.Event(terminal.SessionEvent(ev))
	waits := ev.Kind == session.EventOffered || ev.Kind == session.EventUnstored
	if known := slices.Contains(c.offers, id); waits && !known && c.accept.Empty() {
		c.offers = append(c.offers, id)
	} else if !waits && known {
		c.drop(id)
	}
	if c.said == id && ev.Kind != session.EventApproved { // which something else follows
		c.said = session.OfferID{}
	}
	if ev.Kind == session.EventOffered && len(c.offers) < 2 && c.accept.Empty() {
		return // the question about it says so
	}
	if line := terminal.SessionLine(c.session, ev); line != "" {
		c.screen.Linef("%s", line)
	}
}
