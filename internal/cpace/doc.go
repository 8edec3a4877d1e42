// Package cpace is the password-authenticated key exchange CPace (draft-irtf-cfrg-cpace), suite
// CPACE-RISTR255-SHA512, in its initiator-responder form.
//
//	// A, the initiator:                       B, the responder:
//	a, ya, err := cpace.Start(in, nil)      // b, yb, err := cpace.Start(in, nil)
//	isk, err := a.FinishInitiator(adA, yb, adB) // isk, err := b.FinishResponder(ya, adA, adB)
//
// Both sides end with the same 64 bytes if and only if they started from the same secret, channel identifier and session
// identifier and saw the same shares and associated data. Nothing tells them whether that is so: the keys derived from
// the result must be confirmed.
//
// # Threat model
//
// Who only watches learns nothing about the secret. Who takes part can test one guess per exchange. Everything that
// depends on the secret runs in constant time: the map from the generator string to a point, both
// multiplications, the check of their result. The variable-time functions of the group library, whose names
// start with Public, are not used, and a test keeps them out. Shares of the other side are refused unless they are the one
// canonical encoding of a point other than the identity.
//
// # Concurrency and time
//
// A [State] can be used once, by one of any number of goroutines. One side costs about a third of a millisecond. Nothing
// here reads a clock.
package cpace
