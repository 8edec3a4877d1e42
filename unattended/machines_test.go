package unattended_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/unattended"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const passphrase = "correct horse battery staple"

// site is what the machines of one test share: the file, and where each serves.
type site struct {
	t       *testing.T
	addr    map[string]string
	members []string // lines of the file
	head    string   // the file's other lines

	patience time.Duration // with a machine that hangs
}

// newSite returns a site with machines micro01 to micro0n, of which the first lets the others in. Lines of the file may follow.
func newSite(t *testing.T, n int, lines ...string) *site {
	t.Helper()
	s := &site{t: t, addr: map[string]string{}, patience: 15 * time.Second}
	s.head = "initiator: micro01\npassphrase: " + passphrase + "\n" + strings.Join(append(lines, ""), "\n")
	for i := range n {
		name := fmt.Sprintf("micro%02d", i+1)
		s.addr[name] = lantest.FreeAddress(t)
		s.members = append(s.members, fmt.Sprintf("- {name: %s, address: '%s'}", name, s.addr[name]))
	}
	return s
}

// plan is the plan that the file is.
func (s *site) plan() *unattended.Plan {
	s.t.Helper()
	p, err := unattended.Parse([]byte(s.text()), "cluster.yaml")
	require.NoError(s.t, err)
	return p
}

func (s *site) text() string { return s.head + "members:\n" + strings.Join(s.members, "\n") + "\n" }

// machine is one machine of a test, serving on loopback.
type machine struct {
	t     *testing.T
	site  *site
	name  string
	dir   string
	store *certstore.Store
	svc   *trust.Service
	dead  context.Context
	stop  func() // ends everything at once, as a dying machine does; more calls do nothing

	mu       sync.Mutex
	progress []unattended.Progress
	news     chan struct{}
}

// start starts a new machine's daemon.
func (s *site) start(name string) *machine {
	s.t.Helper()
	return s.startIn(filepath.Join(s.t.TempDir(), name), name)
}

// startIn starts the daemon of a machine that may have run before.
func (s *site) startIn(dir, name string) *machine {
	t := s.t
	t.Helper()
	m := &machine{t: t, site: s, name: name, dir: dir, news: make(chan struct{})}
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	m.store, err = certstore.Open(dir, id)
	require.NoError(t, err)
	m.svc, err = trust.NewService(trust.Config{Store: m.store, Sync: 500 * time.Millisecond})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(trust.MemberPath, m.svc.Handler())
	server := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	require.NoError(t, m.svc.Attach(server))
	ln, err := net.Listen("tcp", s.addr[name])
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.ServeTLS(m.store.Guard(ln), "", "") })
	running.Go(func() { m.svc.Run(ctx) })
	dead, die := context.WithCancel(context.Background())
	m.dead = dead
	m.stop = sync.OnceFunc(func() {
		cancel()
		server.Close()
		running.Wait()
		m.store.Close()
		die() // what a Run of the plan does now has no effect any more
	})
	t.Cleanup(m.stop)
	return m
}

// outcome is how Run ended.
type outcome struct {
	report unattended.Report
	err    error
}

// run carries out the machine's part.
func (m *machine) run(ctx context.Context) <-chan outcome {
	return m.runWith(ctx, unattended.Machine{})
}

func (m *machine) runWith(ctx context.Context, part unattended.Machine) <-chan outcome {
	m.t.Helper()
	plan := m.site.plan()
	plan.SetPace(300*time.Millisecond, m.site.patience)
	part.Store, part.Service, part.Progress = m.store, m.svc, m.note
	if part.Addresses == nil {
		part.Addresses = []string{m.site.addr[m.name]}
	}
	done := make(chan outcome, 1)
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(m.dead, cancel)
	go func() {
		defer cancel()
		report, err := plan.Run(ctx, part)
		done <- outcome{report, err}
	}()
	return done
}

func (m *machine) note(p unattended.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress = append(m.progress, p)
	close(m.news)
	m.news = make(chan struct{})
}

// await waits for a report of progress, behind the one that was awaited last.
func (m *machine) await(what string, match func(unattended.Progress) bool) {
	m.t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	var all []string
	for {
		m.mu.Lock()
		seen, news := m.progress, m.news
		m.progress = nil
		m.mu.Unlock()
		for i, p := range seen {
			if match(p) {
				m.mu.Lock()
				m.progress = append(slices.Clone(seen[i+1:]), m.progress...)
				m.mu.Unlock()
				return
			}
			all = append(all, fmt.Sprint(p.Missing))
		}
		select {
		case <-news:
		case <-timer.C:
			require.Fail(m.t, m.name+" never reported "+what, "but %q", all)
		}
	}
}

// awaitMissing waits until the machine reports that exactly these are missing: each name with a reason behind it.
func (m *machine) awaitMissing(want ...string) {
	m.t.Helper()
	m.await(strings.Join(want, "; "), func(p unattended.Progress) bool {
		return p.Missing != nil && slices.Equal(want, listed(p.Missing))
	})
}

// listed returns names with reasons.
func listed(missing []unattended.Missing) (out []string) {
	for _, m := range missing {
		out = append(out, m.Name+" "+m.Why.String())
	}
	return out
}

// ended waits for the end of a run.
func ended(t *testing.T, done <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-done:
		return o
	case <-time.After(60 * time.Second):
		require.Fail(t, "Run does not return")
		return outcome{}
	}
}

// missing requires that a run ended with who is missing, and returns it.
func missing(t *testing.T, done <-chan outcome) *unattended.MissingError {
	t.Helper()
	var err *unattended.MissingError
	require.ErrorAs(t, ended(t, done).err, &err)
	require.NotEmpty(t, err.Missing)
	return err
}

// writeFile writes a file with permissions.
func writeFile(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(text), mode))
	require.NoError(t, os.Chmod(name, mode))
	return name
}
