package microcloudpeer

import (
	"errors"
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/stretchr/testify/require"
)

// startServer runs joinserver with a session of both protocols, which approves the names that accept lists and denies all others.
func startServer(t *testing.T, accept string, args ...string) (*program, site) {
	t.Helper()
	dir, _ := machineDir(t, "micro01")
	p := start(t, "joinserver", append([]string{
		"-json", "-dir", dir, "-name", "micro01", "-listen", "127.0.0.1:0", "-accept", accept, "-services", "LXD=5.21.2",
		"-microcloud", "-microcloud-passphrase-file", writeFile(t, strong),
	}, args...)...)
	return p, site{p.await("opened").Address, strong}
}

// TestJoinserver: joiners of this format meet joinserver in another process.
func TestJoinserver(t *testing.T) {
	t.Parallel()
	server, at := startServer(t, "micro02,micro03")
	j := openJoiner(t, "micro02", strong, siteServices())

	name, err := j.meet(within(t), at.address)
	require.NoError(t, err)
	require.Equal(t, "micro01", name)
	require.NoError(t, j.offer(within(t), at.address))
	by, err := j.wait(within(t))
	require.NoError(t, err)
	require.Equal(t, intent{Name: "micro01", Version: "2.0", Address: at.address, Certificate: by.Certificate, Services: siteServices()}, by)
	joined := server.await("joined")
	require.Equal(t, "micro02", joined.Name)
	require.Equal(t, fingerprintOf(j.certificate.Leaf), joined.Fingerprint)
	require.Equal(t, []string{j.address}, joined.Addresses)

	t.Run("a member is served over mutual TLS", func(t *testing.T) {
		var answered *refusal
		_, err := j.send(within(t), request{method: http.MethodGet, address: at.address, path: "/1.0/cluster", pin: j.shown, own: true})
		require.ErrorAs(t, err, &answered)
		require.Equal(t, http.StatusNotFound, answered.status)
	})
	t.Run("a member's certificate is refused", func(t *testing.T) {
		var answered *refusal
		require.ErrorAs(t, j.offer(within(t), at.address), &answered)
		require.Equal(t, http.StatusBadRequest, answered.status)
	})
	t.Run("its own intent is refused", func(t *testing.T) {
		var answered *refusal
		require.ErrorAs(t, j.offerWith(within(t), at.address, j.received.Load().body, j.received.Load().header), &answered)
		require.Equal(t, http.StatusBadRequest, answered.status)
	})
	t.Run("who is denied hears why", func(t *testing.T) {
		j := openJoiner(t, "micro66", strong, siteServices())
		_, err := j.meet(within(t), at.address)
		require.NoError(t, err)
		require.NoError(t, j.offer(within(t), at.address))
		_, err = j.wait(within(t))
		var stopped *stopError
		require.ErrorAs(t, err, &stopped)
		require.NotEmpty(t, stopped.reason)
	})
	t.Run("who would rather speak HTTP/2", func(t *testing.T) {
		j := openJoiner(t, "micro03", strong, siteServices())
		j.protocols = []string{"h2", "http/1.1"}
		_, err := j.meet(within(t), at.address)
		require.NoError(t, err)
		require.NoError(t, j.offer(within(t), at.address))
		_, err = j.wait(within(t))
		require.NoError(t, err)
		require.Equal(t, "micro03", server.await("joined").Name)
	})
	t.Run("table", func(t *testing.T) { testRefusals(t, at) })

	server.interrupt()
	code, _ := server.end()
	require.Equal(t, terminal.Interrupted, code)
}

// TestJoinserverTells: a joiner of this format that waits hears why it waits no more, and joinserver hears of one that leaves.
func TestJoinserverTells(t *testing.T) {
	t.Parallel()
	dir, _ := machineDir(t, "micro01")
	server := start(t, "joinserver", "-dir", dir, "-name", "micro01", "-listen", "127.0.0.1:0", "-microcloud",
		"-microcloud-passphrase-file", writeFile(t, strong))
	address := server.awaitLine(`at (\S+), in a cluster of 1`)[1]
	server.awaitLine("joinclient -microcloud")
	offer := func(name string) *joiner {
		j := openJoiner(t, name, strong, map[string]string{})
		_, err := j.meet(within(t), address)
		require.NoError(t, err)
		require.NoError(t, j.offer(within(t), address))
		server.awaitLine(name + ".* asks to join")
		return j
	}
	leaves, waits := offer("micro02"), offer("micro03")
	require.Error(t, leaves.sendStop(within(t), address, request{pin: leaves.shown}, "nobody"), "it proves no certificate")
	require.NoError(t, leaves.withdraw(within(t), address, "changed its mind"))
	server.awaitLine("micro02 did not join: .*changed its mind")

	server.interrupt()
	_, err := waits.wait(within(t))
	var stopped *stopError
	require.ErrorAs(t, err, &stopped)
	require.Contains(t, stopped.reason, "stopped the session")
	require.Equal(t, terminal.Interrupted, server.code())
	require.Empty(t, leaves.ends)
}

// TestJoinserverWithoutASession: when the session is over, TLS lets joiners of this format in no more.
func TestJoinserverWithoutASession(t *testing.T) {
	t.Parallel()
	server, at := startServer(t, "micro02", "-timeout", "100ms")
	server.await("closed")
	j := openJoiner(t, "micro02", strong, siteServices())
	err := j.offer(within(t), at.address)
	var answered *refusal
	require.False(t, errors.As(err, &answered), "it was answered: %v", err)
	require.Error(t, err)
}
