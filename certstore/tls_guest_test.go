package certstore_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// house is what a test knows of a server's guests.
type house struct {
	open    atomic.Bool
	mu      sync.Mutex
	inside  map[*certstore.Guest]bool
	entered int
}

func newHouse() *house {
	h := &house{inside: map[*certstore.Guest]bool{}}
	h.open.Store(true)
	return h
}

func (h *house) guests(allowance int64) *certstore.Guests {
	return &certstore.Guests{
		Open: h.open.Load, Allowance: allowance,
		Enter: func(g *certstore.Guest) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.inside[g] = true
			h.entered++
		},
		Leave: func(g *certstore.Guest) {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.inside, g)
		},
	}
}

func (h *house) counts() (entered, inside int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.entered, len(h.inside)
}

// visit lets a client call a server over a guarded connection, where serve has the server's side after the handshake.
func visit(t *testing.T, guests *certstore.Guests, server, client *tls.Config, serve func(*tls.Conn) error, use func(*tls.Conn) error) (serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	guarded := certstore.Guard(listener)
	defer guarded.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := guarded.Accept()
		if err != nil {
			done <- err
			return
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
		conn := tls.Server(raw, server)
		guests.Serve(conn)
		done <- serve(conn)
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	conn := tls.Client(raw, client)
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	clientErr = use(conn)
	_ = conn.Close()
	return <-done, clientErr
}

func TestGuestsGetIn(t *testing.T) {
	server, member, stranger := mintIdentity(t, "micro01"), mintIdentity(t, "micro02"), mintIdentity(t, "micro03")
	snapshot := always(snapshotOf(server, member))
	for who, row := range map[string]struct {
		client  *tls.Config
		entered int
	}{
		"nobody":                        {presenting(""), 1},
		"nobody, http/1.1":              {presenting("http/1.1"), 1},
		"a stranger":                    {presenting("", stranger.TLSCertificate()), 1},
		"a stranger, http/1.1":          {presenting("http/1.1", stranger.TLSCertificate()), 1},
		"a member is no guest":          {presenting("", member.TLSCertificate()), 0},
		"a member, http/1.1":            {presenting("http/1.1", member.TLSCertificate()), 0},
		"a member, h2 and nothing else": {presenting("h2", member.TLSCertificate()), 0},
	} {
		t.Run(who, func(t *testing.T) {
			h := newHouse()
			guests := h.guests(1 << 10)
			config := certstore.ServerTLS(server, snapshot, certstore.ServerTLSConfig{Guests: guests})
			serverErr, clientErr := visit(t, guests, config, row.client, func(conn *tls.Conn) error {
				err := conn.Handshake()
				_, is := certstore.GuestOf(conn)
				require.Equal(t, row.entered == 1, is)
				if err != nil {
					return err
				}
				return echo(conn)
			}, call)
			require.NoError(t, serverErr)
			require.NoError(t, clientErr)
			entered, inside := h.counts()
			require.Equal(t, row.entered, entered)
			require.Zero(t, inside, "it has left")
		})
	}
}

func TestGuestsAreRefused(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	expired := mintIdentity(t, "micro05", validFrom(-2*time.Hour, -time.Hour))
	snapshot := always(snapshotOf(server, member))
	forged := member.TLSCertificate()
	forged.PrivateKey = mintIdentity(t, "micro03").TLSCertificate().PrivateKey
	old := presenting("")
	old.MaxVersion = tls.VersionTLS12
	both := presenting("h2")
	both.NextProtos = []string{"h2", joinProtocol}
	for why, row := range map[string]struct {
		client *tls.Config
		change func(*house, *certstore.ServerTLSConfig)
	}{
		"not open":              {presenting(""), func(h *house, _ *certstore.ServerTLSConfig) { h.open.Store(false) }},
		"nobody said when":      {presenting(""), func(_ *house, cfg *certstore.ServerTLSConfig) { cfg.Guests.Open = nil }},
		"nobody counts them":    {presenting(""), func(_ *house, cfg *certstore.ServerTLSConfig) { cfg.Guests.Enter = nil }},
		"nobody lets them go":   {presenting(""), func(_ *house, cfg *certstore.ServerTLSConfig) { cfg.Guests.Leave = nil }},
		"nothing bounds them":   {presenting(""), func(_ *house, cfg *certstore.ServerTLSConfig) { cfg.Guests.Allowance = 0 }},
		"HTTP/1.1 is off":       {presenting(""), func(_ *house, cfg *certstore.ServerTLSConfig) { cfg.NextProtos = []string{"h2"} }},
		"another's connection":  {presenting(""), nil},
		"h2":                    {presenting("h2"), nil},
		"h2 and another":        {both, nil},
		"another protocol":      {presenting(joinProtocol), nil},
		"TLS 1.2":               {old, func(_ *house, cfg *certstore.ServerTLSConfig) { cfg.MinVersion = tls.VersionTLS12 }},
		"expired":               {presenting("", expired.TLSCertificate()), nil},
		"a certificate, no key": {presenting("", forged), nil},
	} {
		t.Run(why, func(t *testing.T) {
			h := newHouse()
			cfg := certstore.ServerTLSConfig{Guests: h.guests(1 << 10), Strangers: map[string]func() bool{joinProtocol: closed}}
			if row.change != nil {
				row.change(h, &cfg)
			}
			told := cfg.Guests
			if why == "another's connection" {
				told = newHouse().guests(1 << 10)
			}
			serverErr, clientErr := visit(t, told, certstore.ServerTLS(server, snapshot, cfg), row.client, echo, call)
			require.Error(t, serverErr)
			require.Error(t, clientErr)
			entered, _ := h.counts()
			require.Zero(t, entered)
		})
	}
}

// Without Guard nothing bounds what they send.
func TestGuestsNeedAGuardedListener(t *testing.T) {
	server := mintIdentity(t, "micro01")
	h := newHouse()
	config := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Guests: h.guests(1 << 10)})
	serverErr, clientErr := exchange(t, "127.0.0.1:0", config, presenting(""))
	require.Error(t, serverErr)
	require.Error(t, clientErr)
	entered, _ := h.counts()
	require.Zero(t, entered)
}

func TestGuestsSendNoMoreThanTheyMay(t *testing.T) {
	server := mintIdentity(t, "micro01")
	for what, row := range map[string]struct {
		more int64
		most int
	}{"the allowance": {0, 2 << 10}, "and more": {8 << 10, 10 << 10}} {
		t.Run(what, func(t *testing.T) {
			h := newHouse()
			guests := h.guests(1 << 10)
			config := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Guests: guests})
			got := 0
			serverErr, _ := visit(t, guests, config, presenting(""), func(conn *tls.Conn) error {
				if err := conn.Handshake(); err != nil {
					return err
				}
				guest, ok := certstore.GuestOf(conn)
				require.True(t, ok)
				require.NotEmpty(t, guest.Addr().String())
				guest.Allow(row.more)
				all, err := io.ReadAll(conn)
				got = len(all)
				return err
			}, func(conn *tls.Conn) error {
				_, err := io.WriteString(conn, strings.Repeat("x", 64<<10))
				return err
			})
			require.Error(t, serverErr)
			require.LessOrEqual(t, got, row.most)
			if row.more > 0 {
				require.Greater(t, got, 4<<10)
			}
			_, inside := h.counts()
			require.Zero(t, inside)
		})
	}
}

// What arrives after they are not welcome any more is thrown away, also when reading began before.
func TestGuestsAreAskedAgain(t *testing.T) {
	server := mintIdentity(t, "micro01")
	h := newHouse()
	guests := h.guests(1 << 10)
	config := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Guests: guests})
	ready := make(chan struct{})
	serverErr, clientErr := visit(t, guests, config, presenting(""), func(conn *tls.Conn) error {
		if err := conn.Handshake(); err != nil {
			return err
		}
		close(ready)
		n, err := conn.Read(make([]byte, 1))
		require.Zero(t, n)
		return err
	}, func(conn *tls.Conn) error {
		if err := conn.Handshake(); err != nil {
			return err
		}
		<-ready
		h.open.Store(false)
		return call(conn)
	})
	require.Error(t, serverErr)
	require.Error(t, clientErr)
	_, inside := h.counts()
	require.Zero(t, inside)
}
