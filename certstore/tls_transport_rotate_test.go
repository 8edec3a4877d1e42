package certstore_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// served is a machine that serves its cluster and calls it.
type served struct {
	store *certstore.Store
	addr  string
}

// serve starts the servers of machines that trust each other, the first of which keeps its identity on disk.
func serve(t *testing.T, protocols []string, others ...*certstore.Identity) (all []*served) {
	t.Helper()
	first, _ := onDisk(t, others...)
	all = append(all, &served{store: first})
	for _, id := range others {
		s := openMemory(t, id)
		_, err := s.Adopt(t.Context(), adoption(first))
		require.NoError(t, err)
		all = append(all, &served{store: s})
	}
	for _, m := range all {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		m.addr = listener.Addr().String()
		web := &http.Server{
			Handler:   m.store.Require(http.HandlerFunc(sayWho)),
			TLSConfig: m.store.ServerTLS(certstore.ServerTLSConfig{NextProtos: protocols}),
			ErrorLog:  log.New(io.Discard, "", 0),
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = web.ServeTLS(m.store.Guard(listener), "", "")
		}()
		t.Cleanup(func() {
			_ = web.Close()
			<-done
		})
		require.NoError(t, m.store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{m.addr}}))
	}
	spread(t, all)
	return all
}

// sayWho answers with the fingerprint that the client proved, after it has read the request.
func sayWho(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	m, _ := certstore.MemberFrom(r.Context())
	_, _ = io.WriteString(w, m.Fingerprint.String())
}

// spread gives everybody what anybody has.
func spread(t *testing.T, all []*served) {
	t.Helper()
	for _, from := range all {
		for _, to := range all {
			_, err := to.store.Merge(t.Context(), from.store.Statements())
			require.NoError(t, err)
		}
	}
}

// caller sends one request after the other, and knows which keys the last one was between.
type caller struct {
	from, to  string
	transport http.RoundTripper
	mu        sync.Mutex
	sent      int
	failures  []error
	client    string // fingerprint that this side proved
	server    string // that the other proved
}

func (c *caller) run(stop <-chan struct{}) {
	client := &http.Client{Transport: c.transport, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		default:
			me, peer, err := c.call(client)
			c.mu.Lock()
			c.sent++
			if c.client, c.server = me, peer; err != nil {
				c.failures = append(c.failures, err)
			}
			c.mu.Unlock()
		}
	}
}

// call sends a request that net/http cannot send again by itself: every failure shows.
func (c *caller) call(client *http.Client) (me, peer string, err error) {
	body := io.NopCloser(strings.NewReader("a request of " + c.from))
	response, err := client.Post("https://"+c.to+"/", "text/plain", body)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s to %s: %s", c.from, c.to, response.Status)
	}
	return string(answer), certstore.FingerprintOf(response.TLS.PeerCertificates[0]).String(), err
}

func (c *caller) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// proves reports whether the last request was between these two, and none of the connections for the next one was made before: one
// that waits in the pool may have proved a former key still.
func (c *caller) proves(client, server *certstore.Store) bool {
	if keys := certstore.Proved(c.transport); len(keys) != 1 || keys[0] != server.Identity().KeyID() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client == client.Identity().Fingerprint().String() && c.server == server.Identity().Fingerprint().String()
}

// TestRotationUnderTraffic rotates the key of one of three machines while all of them call each other without a pause. No
// request fails, and afterwards nobody lets the former key in.
func TestRotationUnderTraffic(t *testing.T) {
	for _, protocols := range [][]string{{"http/1.1"}, {"h2"}} {
		t.Run(strings.ReplaceAll(protocols[0], "/", ""), func(t *testing.T) {
			t.Parallel()
			ids := people(t, 3)
			all := serve(t, protocols, ids[1:]...)
			first, former := all[0].store, all[0].store.Identity()
			stop := make(chan struct{})
			var running sync.WaitGroup
			var callers []*caller
			settled := func() bool { // everybody is on the connections that the identities of now make
				for _, c := range callers {
					if !c.proves(machineNamed(all, c.from), machineNamed(all, c.to)) {
						return false
					}
				}
				return true
			}
			more := func() { // everybody has sent ten requests more
				var before []int
				for _, c := range callers {
					before = append(before, c.count())
				}
				for i, c := range callers {
					eventually(t, func() bool { return c.count() >= before[i]+10 })
				}
			}
			for _, from := range all {
				for _, to := range all {
					if from == to {
						continue
					}
					transport := from.store.Transport(to.store.Identity().Name())
					for range 2 { // they share connections
						c := &caller{from: from.store.Identity().Name(), to: to.store.Identity().Name(), transport: transport}
						callers = append(callers, c)
						running.Go(func() { c.run(stop) })
					}
				}
			}
			eventually(t, settled)
			require.NoError(t, first.Rotate(t.Context()))
			more()
			spread(t, all)
			more()
			require.NoError(t, first.SwitchIdentity(t.Context()))
			eventually(t, settled)
			more()
			require.NoError(t, first.RetireIdentity(t.Context()))
			more()
			spread(t, all)
			more()
			close(stop)
			running.Wait()

			sent := 0
			for _, c := range callers {
				require.Empty(t, c.failures, "%s to %s", c.from, c.to)
				sent += c.sent
			}
			t.Logf("%d requests", sent)
			require.GreaterOrEqual(t, sent, 12*50)
			for _, m := range all {
				requireRefused(t, former, m)
			}
		})
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	require.Eventually(t, done, time.Minute, 5*time.Millisecond)
}

func machineNamed(all []*served, name string) *certstore.Store {
	for _, m := range all {
		if m.store.Identity().Name() == name {
			return m.store
		}
	}
	return nil
}

// requireRefused demands that a machine lets nobody in with an identity, and talks to no server that has it.
func requireRefused(t *testing.T, former *certstore.Identity, m *served) {
	t.Helper()
	conn, err := tls.Dial("tcp", m.addr, presenting("http/1.1", former.TLSCertificate()))
	if err == nil { // in TLS 1.3 a client learns of the refusal with its first read
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	require.Error(t, err)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{former.TLSCertificate()}, ClientAuth: tls.RequireAnyClientCert}).Handshake()
			_ = conn.Close()
		}
	}()
	client := &http.Client{Transport: m.store.Transport(former.Name()), Timeout: 30 * time.Second}
	_, err = get(client, "https://"+listener.Addr().String()+"/")
	var stranger *certstore.StrangerError
	require.ErrorAs(t, err, &stranger)
	require.True(t, stranger.Removed)
}

// A transport leaves its connections at once when this machine presents another identity, and those that proved an older
// key of the member after a while, which grows with the time for which the member goes on presenting that key.
func TestTransportLeavesOldConnections(t *testing.T) {
	ids := people(t, 3)
	older, newer := certstore.KeyID{1}, certstore.KeyID{2}
	synctest.Test(t, func(t *testing.T) {
		var presented atomic.Pointer[certstore.Identity]
		presented.Store(ids[0])
		transport := certstore.NewTransportOf(presented.Load, always(snapshotOf(ids[0])), "m2")
		first, proved := certstore.PoolFor(transport, older)
		proved(older)
		time.Sleep(time.Hour)
		same, _ := certstore.PoolFor(transport, older)
		require.Same(t, first, same, "the newest key there is")

		var lasted []time.Duration
		for began := time.Now(); time.Since(began) < 3*time.Minute; {
			pool, proved := certstore.PoolFor(transport, newer)
			proved(older)
			made := time.Now()
			for next := pool; next == pool; next, _ = certstore.PoolFor(transport, newer) {
				time.Sleep(100 * time.Millisecond)
			}
			lasted = append(lasted, time.Since(made))
		}
		require.Less(t, len(lasted), 60)
		require.LessOrEqual(t, lasted[1], time.Second)
		require.LessOrEqual(t, slices.Max(lasted), 9*time.Second)

		last, proved := certstore.PoolFor(transport, newer)
		proved(newer)
		time.Sleep(time.Hour)
		same, _ = certstore.PoolFor(transport, newer)
		require.Same(t, last, same, "it presents the new key at last")
		presented.Store(ids[1])
		other, _ := certstore.PoolFor(transport, newer)
		require.NotSame(t, last, other)
	})
}
