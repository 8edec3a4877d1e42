package session_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/session"
)

// TestClosedSessionIsForgotten: the timer of its end does not keep a session, and its passphrase, until then; nor if joiners were still
// served when it was closed.
func TestClosedSessionIsForgotten(t *testing.T) {
	closed := func() weak.Pointer[session.Session] {
		s := open(t, session.Config{Timeout: time.Hour, Grace: time.Millisecond}, newRegistry())
		admitted(t, s, "micro02")
		s.Close(nil)
		<-s.Ended()
		return weak.Make(s)
	}()
	require.Eventually(t, func() bool { runtime.GC(); return closed.Value() == nil }, 30*time.Second, time.Millisecond)
}
