package cpace

import "errors"

var (
	// ErrShare is returned by [State.FinishInitiator] and [State.FinishResponder] for a share that is not the canonical
	// encoding of a point, is the identity, leads to the identity, or is the share that this side sent.
	ErrShare = errors.New("cpace: share refused")

	// ErrUsed is returned by [State.FinishInitiator] and [State.FinishResponder] when the state was finished before,
	// with success or without, and by those of a zero State.
	ErrUsed = errors.New("cpace: state was used before")

	// ErrInput is returned by [Start] for an empty secret.
	ErrInput = errors.New("cpace: empty secret")

	// ErrRandom is returned by [Start] when the source of randomness fails or yields the scalar zero.
	ErrRandom = errors.New("cpace: no usable randomness")
)
