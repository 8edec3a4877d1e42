// Package events is the security log: what happened that an auditor, or an alarm, wants to know, one record each, under the
// names of the OWASP Application Logging Vocabulary.
//
//	log, err := events.New(events.Config{Logger: logger, Node: "micro01"})
//	log.Emit(events.LoginFail, "wrong proof of the passphrase", events.Source(addr), events.Fingerprint(fp))
//
// package trust has one of these for each Service and emits what happens there, so that a daemon gets the security log by
// setting trust.Config.Logger, and needs this package only to emit events of its own, or to map the records. docs/events.md is the
// catalogue.
//
// # Records
//
// A [Kind] decides name, level and category, and they cannot be given otherwise. What else a record says are [Field] values,
// which are made by functions with a type each; text from peers is quoted and capped there. No field can take the place of
// another.
//
// # Threat model
//
// Strangers cause events as often as they like. The kinds that they can cause are written at once when they are new, and then summed
// up for each block of sources, so that a flood cannot flood the log, neither its disk nor its reader, and the sums
// miss nothing. Memory and records per minute are bounded, whatever arrives.
//
// No secret has a function that makes a Field of it.
//
// # Concurrency
//
// A [Log] is safe for concurrent use. Its handler is called without a lock, in a goroutine that whoever emits waits for, unless the
// handler hangs. Nothing runs while there is nothing to write or to sum up.
//
// # Time
//
// Sums are written by timers of package time, so that they can be tested in a testing/synctest bubble.
package events
