package discovery

import "sync/atomic"

// Counts says what became of the datagrams that arrived, for an operator who wonders why nothing is found. Every datagram is
// counted once.
type Counts struct {
	// Taken are the questions that an [Announcer] answered, or the answers that a [Search] listed.
	Taken uint64
	// Malformed break the rules of their format.
	Malformed uint64
	// Version are of another version of the format, or offer another version of the join protocol.
	Version uint64
	// Oversized are longer than [MaxDatagram].
	Oversized uint64
	// Elsewhere are questions that were not sent to the group, or not on an interface of Config.Interfaces.
	Elsewhere uint64
	// Limited came too often from one source, or from all together, and were not read.
	Limited uint64
	// Repeated are questions that were answered before, and answers that say what is listed already.
	Repeated uint64
	// Unasked are answers to a question that this search has not asked, or not lately.
	Unasked uint64
	// Full are answers that found the list full: MaxFound in all, or 8 from their source.
	Full uint64
	// Closed are questions that came while nothing was open.
	Closed uint64
	// Unsent are answers, and questions of a search, that the system refused to send.
	Unsent uint64
}

// verdict is what became of one datagram.
type verdict int

const (
	taken verdict = iota
	malformed
	otherVersion
	oversized
	elsewhere
	limited
	repeated
	unasked
	full
	closed
	unsent
	verdicts // how many there are
)

// tally counts verdicts. It is safe for concurrent use.
type tally [verdicts]atomic.Uint64

func (t *tally) count(v verdict) { t[v].Add(1) }

func (t *tally) counts() Counts {
	return Counts{
		Taken: t[taken].Load(), Malformed: t[malformed].Load(), Version: t[otherVersion].Load(), Oversized: t[oversized].Load(),
		Elsewhere: t[elsewhere].Load(), Limited: t[limited].Load(), Repeated: t[repeated].Load(), Unasked: t[unasked].Load(),
		Full: t[full].Load(), Closed: t[closed].Load(), Unsent: t[unsent].Load(),
	}
}
