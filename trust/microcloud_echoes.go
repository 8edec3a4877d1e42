package trust

import (
	"crypto/sha256"
	"sync"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/session"
)

// microcloudEchoes are the intents that this side has signed, or whose code it has found right, in one role. That code stays right,
// so whoever has seen one, a refused one included, could make this side derive as often as it likes without a wrong proof; instead it
// is known again, and looked at without a derivation. Nobody learns anything from that without a body and its right code. It is safe
// for concurrent use.
type microcloudEchoes struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]bool
}

// maxEchoes is how many are kept: no session takes more joiners.
const maxEchoes = session.MaxJoiners + 1

const errReflected = microcloudRefusal("Failed to register join intent: it is this machine's own")

// remember notes that the code of a body, in a header as this side writes it, is right.
func (e *microcloudEchoes) remember(header string, body []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.known == nil {
		e.known = map[[sha256.Size]byte]bool{}
	}
	if len(e.known) < maxEchoes {
		e.known[echoOf(header, body)] = true
	}
}

// knows reports whether the code of a body was found right before.
func (e *microcloudEchoes) knows(header microcloud.Header, body []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.known[echoOf(header.String(), body)]
}

// echoOf names a signed body. A header has no line feed, and its digits are in lower case.
func echoOf(header string, body []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(header+"\n"), body...))
}
