package discovery

import (
	"errors"
	"fmt"
)

// Errors of this package. What breaks the rules on the network is never an error: it is skipped and counted, see [Counts].
var (
	// ErrConfig is wrapped by what [NewAnnouncer] and [NewSearch] say of a configuration that cannot work.
	ErrConfig = errors.New("discovery: invalid configuration")
	// ErrInterface says that a network interface is not there, or that multicast does not work on it in any family. From
	// [Announcer.Run] and [Search.Results].
	ErrInterface = errors.New("discovery: the network interface cannot be used")
	// ErrNotSent says that the first question could not be sent in any family, so that nobody was asked. From [Search.Results].
	ErrNotSent = errors.New("discovery: no question could be sent")
)

// Why a datagram is skipped. None of them leaves the package; each has a counter.
var (
	errMalformed = errors.New("malformed datagram")
	errVersion   = errors.New("datagram of another version")
)

func configError(field string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrConfig, field, err)
}
