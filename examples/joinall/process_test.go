package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// isProgram in the environment makes a process of this test be joinall.
const isProgram = "MICROTRUST_IS_JOINALL"

func TestMain(m *testing.M) {
	if os.Getenv(isProgram) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// site is a directory with the file of a plan, and with a directory for each machine.
type site struct {
	t     *testing.T
	dir   string
	names []string
}

// newSite writes a file for n machines, of which the first lets the others in.
func newSite(t *testing.T, n int, timeout string) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	text := fmt.Sprintf("initiator: micro01\npassphrase_file: passphrase\ninsecure_skip_fingerprint: true\ntimeout: %s\nmembers:\n", timeout)
	for i := range n {
		name := fmt.Sprintf("micro%02d", i+1)
		s.names = append(s.names, name)
		text += fmt.Sprintf("- {name: %s, address: '%s'}\n", name, lantest.FreeAddress(t))
		_, err := certstore.LoadOrCreateIdentity(filepath.Join(s.dir, name), certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
		require.NoError(t, err)
	}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "cluster.yaml"), []byte(text), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "passphrase"), []byte("correct horse battery staple\n"), 0o600))
	return s
}

// process is joinall on one machine.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stderr bytes.Buffer

	mu     sync.Mutex
	events []terminal.Event
	news   chan struct{}
	over   bool
}

// start starts joinall on a machine, as a process of its own.
func (s *site) start(name string) *process {
	t := s.t
	t.Helper()
	p := &process{t: t, name: name, news: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], "-config", filepath.Join(s.dir, "cluster.yaml"), "-dir", filepath.Join(s.dir, name), "-name", name, "-json")
	p.cmd.Env = append(os.Environ(), isProgram+"=1")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	go p.read(out)
	return p
}

func (p *process) read(out io.Reader) {
	lines := json.NewDecoder(out)
	for {
		var e terminal.Event
		err := lines.Decode(&e)
		p.mu.Lock()
		if err == nil {
			p.events = append(p.events, e)
		}
		p.over = err != nil
		close(p.news)
		p.news = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits for the first event that matches, or for the end of the output.
func (p *process) await(match func(terminal.Event) bool) (terminal.Event, bool) {
	p.t.Helper()
	timer := time.NewTimer(2 * time.Minute)
	defer timer.Stop()
	for {
		p.mu.Lock()
		events, over, news := p.events, p.over, p.news
		p.mu.Unlock()
		for _, e := range events {
			if match(e) {
				return e, true
			}
		}
		if over {
			return terminal.Event{}, false
		}
		select {
		case <-news:
		case <-timer.C:
			require.Fail(p.t, p.name+" prints nothing of the kind")
		}
	}
}

// event waits for the first event of a kind.
func (p *process) event(kind, name string) terminal.Event {
	p.t.Helper()
	e, ok := p.await(func(e terminal.Event) bool { return e.Event == kind && (name == "" || e.Name == name) })
	require.True(p.t, ok, "%s ended without %s %s: %s", p.name, kind, name, &p.stderr)
	return e
}

// code waits for the end.
func (p *process) code() terminal.Code {
	p.t.Helper()
	p.await(func(terminal.Event) bool { return false })
	p.cmd.Wait()
	return terminal.Code(p.cmd.ProcessState.ExitCode())
}

// missing returns the names that the process ended with.
func (p *process) missing() (names []string) {
	for _, e := range p.events {
		if e.Event == "missing" {
			names = append(names, e.Name)
		}
	}
	return names
}

// TestTenProcesses: ten processes become one cluster, or each tells who is missing. How long the first takes here and now says how
// much time the second gets.
func TestTenProcesses(t *testing.T) {
	began := time.Now()
	t.Run("in any order", testAnyOrder)
	took := time.Since(began)
	t.Run("one is killed", func(t *testing.T) { testKilled(t, min(max(12*time.Second, 3*took), 90*time.Second)) })
}

// testAnyOrder: started in any order, each ends by itself.
func testAnyOrder(t *testing.T) {
	s := newSite(t, 10, "1m")
	var all []*process
	for _, i := range rand.Perm(10) {
		all = append(all, s.start(s.names[i]))
	}
	cluster := all[0].event("complete", "").Cluster
	for _, p := range all {
		complete := p.event("complete", "")
		require.Len(t, complete.Members, 10)
		require.Equal(t, cluster, complete.Cluster)
		require.Equal(t, terminal.Done, p.code(), &p.stderr)
		require.Empty(t, p.stderr.String())
	}
}

// testKilled: one of them is killed when it has joined and not all have. Every other one ends with a message that names it, and
// nobody else.
func testKilled(t *testing.T, timeout time.Duration) {
	s := newSite(t, 10, timeout.String())
	last, victim := s.names[9], s.names[1+rand.IntN(8)]
	all := map[string]*process{}
	for _, i := range rand.Perm(9) {
		all[s.names[i]] = s.start(s.names[i])
	}
	all["micro01"].event("joined", victim)
	require.NoError(t, all[victim].cmd.Process.Kill())
	all[victim].code()
	delete(all, victim)
	all[last] = s.start(last)
	for _, p := range all {
		require.Equal(t, terminal.Ended, p.code(), "%s: %s", p.name, &p.stderr)
		require.Equal(t, []string{victim}, p.missing(), "%s: %s", p.name, &p.stderr)
		require.Regexp(t, victim+" is a member and was not reached (since|yet)", p.stderr.String())
		require.Equal(t, 1, strings.Count(p.stderr.String(), "\n"))
	}
}
