package trust

import (
	"fmt"
	"time"
)

// Limits bounds what strangers, and members by their connections, can make a machine spend. The zero value of each field means its default; negative
// values are refused by [NewService]. Source: docs/protocol.md, section "Limits".
type Limits struct {
	// Body is the largest request body in bytes that is read. Default 64 KiB, the most that the protocol allows.
	Body int
	// RequestTime is how long a peer may take to send one whole request. Default 10 s.
	RequestTime time.Duration
	// HandshakeLife is how long a handshake may stay unproved, and a stranger's connection in the older format open. Default 30 s.
	HandshakeLife time.Duration
	// Handshakes is how many unproved handshakes are kept; the oldest of the largest source block goes first. Default 1024.
	Handshakes int
	// Connections is how many connections of strangers are kept open, chosen as for Handshakes; those in the older format are
	// counted apart. Default 256.
	Connections int
	// Arrivals is how many connections are kept open over which nothing has been asked yet, be it that their TLS handshake is not
	// complete, be it that they say nothing, members' own included; chosen as for Handshakes. A fourth of the places is for addresses that members call from. Default 512.
	Arrivals int
	// MemberConnections is how many connections of one member are kept open over which something was asked; beyond that, its
	// idle ones are closed, the longest idle first, and new ones if none is idle. Default 64.
	MemberConnections int
	// PollTime is the longest that a result request waits for news. Default 20 s, which is also the most: it stays below
	// the write timeouts that servers usually set.
	PollTime time.Duration
}

// Sizes that both sides of the protocol keep to. They are part of the protocol, not settings.
const (
	maxRequestBody  = 64 << 10
	maxHelloBody    = 4 << 10
	maxReplyBody    = 256 << 10
	maxPollTime     = 20 * time.Second
	pageBytes       = 96 << 10 // encoded statements in one page of a result, well below maxReplyBody with its base64
	maxPages        = 512
	headerAllowance = 4 << 10 // net/http adds 4 KiB of its own, which makes the 8 KiB of the protocol
)

func (l Limits) withDefaults() (Limits, error) {
	if l.Body < 0 || l.RequestTime < 0 || l.HandshakeLife < 0 || l.Handshakes < 0 || l.Connections < 0 || l.Arrivals < 0 || l.MemberConnections < 0 || l.PollTime < 0 {
		return Limits{}, fmt.Errorf("%w: a limit is negative; zero means the default", ErrConfig)
	}
	if l.Body > maxRequestBody || l.PollTime > maxPollTime {
		return Limits{}, fmt.Errorf("%w: Body may be at most %d and PollTime at most %v", ErrConfig, maxRequestBody, maxPollTime)
	}
	orDefault(&l.Body, maxRequestBody)
	orDefault(&l.RequestTime, 10*time.Second)
	orDefault(&l.HandshakeLife, 30*time.Second)
	orDefault(&l.Handshakes, 1024)
	orDefault(&l.Connections, 256)
	orDefault(&l.Arrivals, 512)
	orDefault(&l.MemberConnections, 64)
	orDefault(&l.PollTime, maxPollTime)
	return l, nil
}

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}
