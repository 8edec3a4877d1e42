package microcloudpeer

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
)

// startClient runs joinclient against a peer's initiator. Where the flags do not say otherwise, it knows the initiator's
// fingerprint and passphrase.
func startClient(t *testing.T, i *initiator, args ...string) *program {
	t.Helper()
	dir, _ := machineDir(t, "micro02")
	if !slices.Contains(args, "-services") {
		args = append(args, "-services", "LXD=5.21.2")
	}
	return start(t, "joinclient", append([]string{
		"-json", "-microcloud", "-found-cluster", "-dir", dir, "-name", "micro02", "-server", i.address, "-listen", lantest.FreeAddress(t),
		"-passphrase-file", writeFile(t, strong), "-fingerprint", certstore.FingerprintOf(i.certificate.Leaf).String(),
	}, args...)...)
}

// TestJoinclient: joinclient in another process meets initiators of this format.
func TestJoinclient(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) *initiator { return openInitiator(t, "micro01", strong, siteServices()) }
	// proposed waits until joinclient's intent was accepted.
	proposed := func(t *testing.T, i *initiator) intent {
		got := receive(t, i.intents)
		require.Equal(t, "micro02", got.Name)
		require.Equal(t, "2.0", got.Version)
		require.Equal(t, siteServices(), got.Services)
		return got
	}
	joined := func(t *testing.T, p *program, i *initiator) {
		e := p.await("joined")
		require.Equal(t, "micro01", e.Name)
		require.Equal(t, fingerprintOf(i.certificate.Leaf), e.Fingerprint)
		code, _ := p.end()
		require.Equal(t, terminal.Done, code)
	}

	t.Run("confirmed", func(t *testing.T) {
		i := open(t)
		p := startClient(t, i)
		require.NoError(t, i.confirm(within(t), proposed(t, i), true))
		joined(t, p, i)
	})
	t.Run("no cluster of its own unless it was asked for", func(t *testing.T) {
		i := open(t)
		p := startClient(t, i, "-found-cluster=false")
		require.NoError(t, i.confirm(within(t), proposed(t, i), true))
		code, reason := p.end()
		require.Equal(t, terminal.Failed, code)
		require.Contains(t, reason, "keeps no member set")
		require.NotEmpty(t, receive(t, i.stops), "the initiator hears that it did not join")
	})
	t.Run("the answer is lost", func(t *testing.T) {
		i := open(t)
		i.reply = func(intent) bool { return false }
		p := startClient(t, i)
		got := proposed(t, i)
		for receive(t, i.traffic) != "POST "+joinPath { // that of the first attempt
		}
		for receive(t, i.traffic) != "POST "+joinPath { // it tries again, and hears that its intent is known
		}
		require.NoError(t, i.confirm(within(t), got, true))
		joined(t, p, i)
	})
	t.Run("the answers are lost until it is confirmed", func(t *testing.T) {
		i := open(t)
		i.reply = func(got intent) bool { return i.confirm(t.Context(), got, true) != nil } // so it comes before any answer
		p := startClient(t, i)
		joined(t, p, i)
	})
	t.Run("the same machine again", func(t *testing.T) {
		i := open(t)
		dir, _ := machineDir(t, "micro02")
		p := startClient(t, i, "-dir", dir)
		proposed(t, i)
		p.interrupt()
		p.end()
		code, reason := startClient(t, i, "-dir", dir).end()
		require.NotEqual(t, terminal.Done, code)
		require.Contains(t, reason, "already")
	})
	t.Run("wrong passphrase", func(t *testing.T) {
		p := startClient(t, open(t), "-passphrase-file", writeFile(t, "not "+strong))
		code, _ := p.end()
		require.Equal(t, terminal.Refused, code)
	})
	t.Run("services mismatch", func(t *testing.T) {
		p := startClient(t, open(t), "-services", "LXD=5.21.1")
		code, reason := p.end()
		require.Equal(t, terminal.Denied, code)
		require.Contains(t, reason, "5.21.2")
	})
	t.Run("no session", func(t *testing.T) {
		i := open(t)
		i.open = false
		code, _ := startClient(t, i).end()
		require.Equal(t, terminal.Unreachable, code)
	})
	t.Run("stopped with a reason", func(t *testing.T) {
		i := open(t)
		p := startClient(t, i)
		require.NoError(t, i.stop(within(t), proposed(t, i), "the room is being closed"))
		code, reason := p.end()
		require.Equal(t, terminal.Ended, code)
		require.Contains(t, reason, "the room is being closed")
	})
	t.Run("another fingerprint than was pinned", func(t *testing.T) {
		i := open(t)
		_, other := machineDir(t, "micro03")
		code, _ := startClient(t, i, "-fingerprint", other.String()).end()
		require.Equal(t, terminal.NotConfirmed, code)
		require.Empty(t, i.intents)
		for len(i.traffic) > 0 {
			require.NotEqual(t, "POST "+joinPath, <-i.traffic)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		i := open(t)
		p := startClient(t, i)
		proposed(t, i)
		p.interrupt()
		code, _ := p.end()
		require.Equal(t, terminal.Interrupted, code)
		receive(t, i.stops)
	})
	t.Run("nobody else confirms", func(t *testing.T) {
		i := open(t)
		p := startClient(t, i)
		got := proposed(t, i)
		testFalseConfirmations(t, i, got)
		require.NoError(t, i.confirm(within(t), got, false), "it need not show a certificate in TLS")
		joined(t, p, i)
	})
}

// testFalseConfirmations sends a waiting joiner what must not end its wait.
func testFalseConfirmations(t *testing.T, i *initiator, to intent) {
	own, err := json.Marshal(to)
	require.NoError(t, err)
	other := openInitiator(t, "micro01", strong, siteServices())
	otherBody := other.intent()
	joiner := openJoiner(t, "micro03", strong, siteServices())
	joinerBody := joiner.intent()
	tests := []struct {
		name   string
		from   *initiator
		body   []byte
		header string
		status int
	}{
		{"its own intent, reflected", i, i.received.Load().body, i.received.Load().header, 400},
		{"its own intent, signed anew", i, own, i.sign(own), 400},
		{"from a machine with another certificate than TLS showed", other, otherBody, other.sign(otherBody), 400},
		{"another joiner's intent, replayed", i, joinerBody, joiner.sign(joinerBody), 400},
		{"of another session", i, i.intent(), sign("not "+strong, i.intent()), 403},
		{"without a header", i, i.intent(), "", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var answered *refusal
			require.ErrorAs(t, tt.from.confirmWith(within(t), to, true, tt.body, tt.header), &answered)
			require.Equal(t, tt.status, answered.status, answered.text)
		})
	}
	t.Run("a stranger stops nothing", func(t *testing.T) {
		require.Error(t, other.stop(within(t), to, "a stranger"))
		require.Error(t, other.sendStop(within(t), to.Address, request{}, "nobody"))
	})
}
