//go:build linux && !race

// It reads /proc and needs all of 127.0.0.0/8; the race detector takes memory of its own.

package microcloudpeer

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/stretchr/testify/require"
)

const (
	// attempts is how many strangers of this format are at work at once, and mostMemory what joinserver may hold meanwhile.
	attempts   = 100
	mostMemory = 200 << 20
	// enough is how many derivations a run sees to its end, unless floodVariable says otherwise. Memory is at its peak after the first few.
	enough        = 6
	floodVariable = "MICROTRUST_MICROCLOUD_DERIVATIONS"
)

// peakMemory returns the most memory that the process has held so far, in bytes.
func (p *program) peakMemory() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	line := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status)
	require.NotNil(p.t, line)
	kilobytes, err := strconv.Atoi(string(line[1]))
	require.NoError(p.t, err)
	return kilobytes << 10
}

// TestMemoryUnderAFlood: a hundred strangers at once, each from a network of its own, make joinserver derive without a pause. What
// it holds stays bounded, and machines that speak microtrust/2 join meanwhile.
func TestMemoryUnderAFlood(t *testing.T) {
	derivations := enough
	if text := os.Getenv(floodVariable); text != "" {
		var err error
		derivations, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	dir, fingerprint := machineDir(t, "micro01")
	words := writeFile(t, passphrase)
	server := start(t, "joinserver", "-json", "-dir", dir, "-name", "micro01", "-listen", "127.0.0.1:0", "-accept", "micro02",
		"-passphrase-file", words, "-microcloud")
	address := server.await("opened").Address
	before := server.peakMemory()

	f := &flood{address: address, answers: map[int]int{}, wrong: make(chan struct{}, derivations)}
	ctx, stop := context.WithCancel(t.Context())
	var strangers sync.WaitGroup
	for n := range attempts {
		strangers.Go(func() { f.attack(ctx, n) })
	}
	for range derivations / 2 {
		receive(t, f.wrong)
	}
	joining, _ := machineDir(t, "micro02")
	client := start(t, "joinclient", "-json", "-dir", joining, "-name", "micro02", "-server", address, "-passphrase-file", words,
		"-fingerprint", fingerprint.String())
	code, reason := client.end()
	require.Equal(t, terminal.Done, code, reason)
	for range derivations - derivations/2 {
		receive(t, f.wrong)
	}
	peak := server.peakMemory()
	stop()
	strangers.Wait()
	t.Logf("at most %d MiB, of which %d MiB before; answers by status: %v", peak>>20, before>>20, f.answers)
	require.Less(t, peak, mostMemory)
	require.Greater(t, peak, before+64<<20, "nothing was derived")
}

// flood is a crowd of strangers who do not know the passphrase.
type flood struct {
	address string
	wrong   chan struct{} // one for each proof that cost a derivation

	mu      sync.Mutex
	answers map[int]int // by status; 0: no answer
}

// attack sends well-formed wrong proofs from the n-th network, one after the other.
func (f *flood) attack(ctx context.Context, n int) {
	m, err := newMachine(fmt.Sprint("stranger", n), "", nil)
	if err != nil {
		return
	}
	m.source = net.IPv4(127, byte(n+1), 0, 1)
	body := bytes.Repeat([]byte(" "), 64<<10) // the largest that is read
	for ctx.Err() == nil {
		random := make([]byte, 16+32)
		rand.Read(random)
		header := schemeVersion + " " + hex.EncodeToString(random[:16]) + ":" + hex.EncodeToString(random[16:])
		_, err := m.send(ctx, request{method: http.MethodPost, address: f.address, path: joinPath, body: body, authorization: header})
		var answered *refusal
		status := 0
		if errors.As(err, &answered) {
			status = answered.status
		}
		f.mu.Lock()
		f.answers[status]++
		f.mu.Unlock()
		switch {
		case status == http.StatusForbidden:
			select {
			case f.wrong <- struct{}{}:
			default:
			}
		case ctx.Err() == nil: // not its turn
			pause := time.NewTimer(100 * time.Millisecond)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
		}
	}
}
