package trust

import (
	"context"
	"testing"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// TestWhichSessionsAreEnding: one that has closed, and one that has not closed yet although its context has ended.
func TestWhichSessionsAreEnding(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		name         string
		ctx          context.Context
		closed, ends bool
	}{
		{"open", t.Context(), false, false},
		{"closed", t.Context(), true, true},
		{"without a context that can end", context.Background(), false, false},
		{"of a context that has ended", ended, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			open, err := session.New(session.Config{}, session.Hooks{Admit: func(context.Context, session.Offer, session.Compared) error { return nil }})
			require.NoError(t, err)
			defer open.Close(nil)
			if test.closed {
				open.Close(nil)
			}
			var f followers
			f.add(test.ctx, open)
			require.Equal(t, test.ends, len(f.ending()) == 1)
			f.remove(open)
			require.Empty(t, f.ending())
		})
	}
}
