package contain

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"
)

// reportEvery is how often a Reporter writes at most: strangers may cause what it tells.
const reportEvery = time.Minute

// Reporter tells standard error what went wrong in something of the embedder's, once a minute at most. It uses no log, which may be
// what went wrong.
type Reporter struct {
	to io.Writer

	mu    sync.Mutex
	last  time.Time
	since int // what was not written since then
}

// NewReporter returns a Reporter that has told nothing.
func NewReporter() *Reporter { return &Reporter{to: os.Stderr} }

// Recover is to be deferred: it takes a panic of what is named, and tells it with its stack.
func (r *Reporter) Recover(what string) {
	if cause := recover(); cause != nil {
		r.tell("panic in the %s: %v\n%s", what, cause, debug.Stack())
	}
}

func (r *Reporter) tell(format string, args ...any) {
	before, due := r.due(time.Now())
	if !due {
		return
	}
	text := fmt.Sprintf("microtrust: "+format+"\n", args...)
	if before > 0 {
		text += fmt.Sprintf("microtrust: %d such reports were left out before this one\n", before)
	}
	_, _ = io.WriteString(r.to, text)
}

func (r *Reporter) due(now time.Time) (before int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.last.IsZero() && now.Sub(r.last) < reportEvery {
		r.since++
		return 0, false
	}
	before, r.last, r.since = r.since, now, 0
	return before, true
}
