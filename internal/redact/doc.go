// Package redact keeps what holds a secret from being printed, logged or encoded. It is the second wall: the first is that
// secrets are held in closures, where neither printing nor reflection reaches.
//
//	type key struct {
//		redact.Secret
//		sign func(message []byte) []byte
//	}
package redact
