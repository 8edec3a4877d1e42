package trust

import "context"

// Drain waits until every joiner that has proved itself has heard how the newest session ended for it, or cannot be served
// any more: when it returns, the reply that says so has been sent. Call it after the session was closed and before the server
// is shut down: a joiner that is between two requests at that moment would otherwise find nobody there, and go on looking. A
// joiner that is gone never hears it, so give ctx an end of a few seconds; the error is its cause.
func (s *Service) Drain(ctx context.Context) error {
	for {
		h, changed := s.handshakes.nextOwed()
		if h == nil {
			return s.drainCouriers(ctx)
		}
		select {
		case <-h.heard:
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// drainCouriers waits for the joiners of the older format, which are told and do not ask.
func (s *Service) drainCouriers(ctx context.Context) error {
	for {
		c := s.couriers.next()
		if c == nil {
			return nil
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// nextOwed returns a handshake whose joiner is still owed the outcome, with a channel that tells of a change in what the
// session knows of it, or is being told, with none; nil if there is no such handshake.
func (t *handshakes) nextOwed() (*handshake, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.proved {
		changed := h.session.Changed(h.offerID()) // taken before looking, so that no change is missed
		if h.owed() {
			return h, changed
		}
		if h.beingTold() { // looked at last, for it follows
			return h, nil
		}
	}
	return nil, nil
}
