// Package contain keeps what goes wrong in an embedder's log handler or metrics sink out of what they are told about: they look
// on, and strangers decide how often they are called.
//
// A panic there is not the caller's, be it in the middle of an admission or in the goroutine of a timer, where it would end the
// process: it goes to standard error, with its stack. A log handler that hangs is waited for five seconds, and then by nobody until it
// returns. docs/events.md, section "Handlers that fail", is what embedders read of it.
//
// # Concurrency
//
// Everything here is safe for concurrent use, and no lock is held while something of the embedder's runs.
package contain
