// Package ratelimit decides who may ask how often, and how many guesses at a secret are allowed.
//
// It has four parts, each usable alone:
//
//   - Admission paces requests per source, per block of sources and in all, before anything expensive is done.
//   - Attempts counts wrong proofs of secrets: a budget for each secret, a back-off for each source.
//   - Table is a bounded table of unfinished things, which makes room at the expense of whoever takes most of it.
//   - Turns decides who is served next when more want to be served than there are processors.
//
// The smallest use:
//
//	adm, err := ratelimit.NewAdmission(ratelimit.AdmissionConfig{})
//	if err != nil {
//		return err
//	}
//	if err := adm.Admit(time.Now(), addr); err != nil {
//		limited, _ := errors.AsType[*ratelimit.LimitedError](err)
//		w.Header().Set("Retry-After", limited.Seconds())
//		w.WriteHeader(http.StatusTooManyRequests)
//		return
//	}
//
// # Sources
//
// A source is an IPv4 address or an IPv6 /64, which is what one customer or one host can have to itself; a block is an
// IPv4 /24 or an IPv6 /48. IPv4 addresses inside IPv6 count as IPv4, zones are dropped, and an invalid address is a
// source like any other, so no input is refused and none escapes.
//
// # Threat model
//
// The attacker chooses sources freely, has many of them, and sends whatever and whenever he likes. Memory is bounded by
// the configuration and never grows with the number of requests or sources. What one source or block does cannot take
// the share of another one, and what all want together goes first to those who have had least. Nothing a stranger does resets a
// budget: a secret that is used up stays used up.
//
// # Concurrency
//
// All types may be used from many goroutines at once. Nothing but Turns.Wait blocks; nothing sleeps or starts a goroutine.
//
// # Time
//
// Every decision is a function of what came before and of now, which the caller passes. Times with a monotonic reading
// are compared by it. A clock that steps back stops nothing: time goes on from the new value. The zero time and times
// far away are harmless.
package ratelimit
