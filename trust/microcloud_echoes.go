package trust

import (
	"crypto/sha256"
	"sync"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/session"
)

// microcloudEchoes are the signed intents that this side has sent or taken, in one role. The code in their header stays right, so
// whoever has seen one could make this side derive as often as it likes without a wrong proof; instead it gets its answer by
// comparison. Nobody learns anything from that without a body and its right code. It is safe for concurrent use.
type microcloudEchoes struct {
	mu      sync.Mutex
	answers map[[sha256.Size]byte]error
}

// maxEchoes is how many are kept: no session takes more joiners.
const maxEchoes = session.MaxJoiners + 1

const errReflected = microcloudRefusal("Failed to register join intent: it is this machine's own")

// remember keeps the answer for who sends the same again.
func (e *microcloudEchoes) remember(header string, body []byte, answer error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answers == nil {
		e.answers = map[[sha256.Size]byte]error{}
	}
	if len(e.answers) < maxEchoes {
		e.answers[echoOf(header, body)] = answer
	}
}

// answer returns what the same request was, or is to be, answered; false for one that is new.
func (e *microcloudEchoes) answer(header microcloud.Header, body []byte) (known bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	err, known = e.answers[echoOf(header.String(), body)]
	return known, err
}

// echoOf names a signed body. A header has no line feed, and its digits are in lower case.
func echoOf(header string, body []byte) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(header+"\n"), body...))
}
