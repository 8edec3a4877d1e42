package certstore_test

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// pair is a server that is a member, and a client that may become one.
type pair struct {
	server, client *certstore.Identity
	seenByServer   atomic.Pointer[certstore.Snapshot]
	seenByClient   atomic.Pointer[certstore.Snapshot]
	web            *httptest.Server
	reached        atomic.Int64 // requests that got to the handler
}

// newPair starts the server on address; guarded says whether its listener is.
func newPair(t *testing.T, address string, guarded bool, handler http.HandlerFunc) *pair {
	t.Helper()
	p := &pair{server: mintIdentity(t, "micro01"), client: mintIdentity(t, "micro02")}
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	if guarded {
		listener = certstore.Guard(listener)
	}
	p.trust(p.server, p.client)
	p.web = httptest.NewUnstartedServer(certstore.RequireMember(p.seenByServer.Load, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.reached.Add(1)
		handler(w, r)
	})))
	_ = p.web.Listener.Close()
	p.web.Listener = listener
	p.web.EnableHTTP2 = true
	p.web.TLS = certstore.ServerTLS(p.server, p.seenByServer.Load, certstore.ServerTLSConfig{})
	p.web.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.web.StartTLS()
	t.Cleanup(p.web.Close)
	return p
}

// trust makes exactly these the members, for both; the server publishes its address.
func (p *pair) trust(ids ...*certstore.Identity) {
	var members []*certstore.Member
	for _, id := range ids {
		members = append(members, memberOf(id, p.addresses()...))
	}
	snapshot := certstore.NewSnapshot(certstore.ClusterID{1}, members, nil, certstore.Digest{})
	p.seenByServer.Store(snapshot)
	p.seenByClient.Store(snapshot)
}

func (p *pair) addresses() []string {
	if p.web == nil {
		return nil
	}
	return []string{"127.0.0.1:1", p.web.Listener.Addr().String()} // nobody listens on the first
}

func (p *pair) httpClient(t *testing.T) *http.Client {
	client := &http.Client{Transport: certstore.NewTransport(p.client, p.seenByClient.Load, "micro01"), Timeout: 20 * time.Second}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func whoAmI(w http.ResponseWriter, r *http.Request) {
	m, ok := certstore.MemberFrom(r.Context())
	if !ok {
		panic("no member behind the request")
	}
	_, _ = io.WriteString(w, m.Name+" "+r.Proto)
}

func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestTransportRefuses(t *testing.T) {
	p := newPair(t, "127.0.0.1:0", false, whoAmI)
	stranger, other := mintIdentity(t, "micro01"), mintIdentity(t, "micro03")
	url := p.web.URL
	plain := httptest.NewServer(http.HandlerFunc(whoAmI))
	defer plain.Close()
	for reason, row := range map[string]struct {
		members []*certstore.Identity
		url     string
		want    error
	}{
		"plain http":       {[]*certstore.Identity{p.server, p.client}, plain.URL, certstore.ErrConnection},
		"unknown member":   {[]*certstore.Identity{p.client}, url, certstore.ErrUnknownMember},
		"name of two":      {[]*certstore.Identity{p.client, p.server, stranger}, url, certstore.ErrNameTaken},
		"another's server": {[]*certstore.Identity{p.client, stranger}, url, certstore.ErrStranger},
		"empty store":      {nil, url, certstore.ErrUnknownMember},
		"other member":     {[]*certstore.Identity{p.client, other}, url, certstore.ErrUnknownMember},
	} {
		t.Run(reason, func(t *testing.T) {
			p.trust(row.members...)
			before := p.reached.Load()
			response, err := p.httpClient(t).Post(row.url, "text/plain", strings.NewReader("secret"))
			if err == nil {
				_ = response.Body.Close()
			}
			require.ErrorIs(t, err, row.want)
			require.Equal(t, before, p.reached.Load())
		})
	}
}

func TestTransportFindsPublishedAddress(t *testing.T) {
	for i, address := range append(loopbacks(t), "127.0.0.1:0") {
		p := newPair(t, address, i == 0, whoAmI)
		p.trust(p.server, p.client)
		body, err := get(p.httpClient(t), "https://micro01/")
		require.NoError(t, err)
		require.Equal(t, "micro02 HTTP/2.0", body)
		body, err = get(p.httpClient(t), p.web.URL)
		require.NoError(t, err)
		require.Equal(t, "micro02 HTTP/2.0", body)
	}
}

// A removed member is not spoken to any more on a connection of the pool, and its answer under way is not read on.
func TestTransportDropsRemovedMember(t *testing.T) {
	more := make(chan struct{})
	p := newPair(t, "127.0.0.1:0", false, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/slow" {
			<-more
			_, _ = io.WriteString(w, "second")
		}
	})
	client := p.httpClient(t)
	_, err := get(client, p.web.URL)
	require.NoError(t, err)
	slow, err := client.Get(p.web.URL + "/slow")
	require.NoError(t, err)
	defer slow.Body.Close()
	first := make([]byte, 5)
	_, err = io.ReadFull(slow.Body, first)
	require.NoError(t, err)

	// Only the client learns of the removal; somebody else takes the name.
	p.seenByClient.Store(snapshotOf(p.client, mintIdentity(t, "micro01")))
	close(more)
	rest, err := io.ReadAll(slow.Body)
	require.ErrorIs(t, err, certstore.ErrStranger)
	require.Empty(t, rest)
	before := p.reached.Load()
	_, err = get(client, p.web.URL)
	require.ErrorIs(t, err, certstore.ErrStranger)
	require.Equal(t, before, p.reached.Load())

	p.seenByClient.Store(snapshotOf(p.client, p.server))
	body, err := get(client, p.web.URL)
	require.NoError(t, err)
	require.Equal(t, "first", body)
}

// Not one byte of a request goes to a removed member over a connection that waits in the pool.
func TestTransportWritesNothingToRemovedMember(t *testing.T) {
	p := newPair(t, "127.0.0.1:0", false, whoAmI)
	client := p.httpClient(t)
	_, err := get(client, p.web.URL)
	require.NoError(t, err)
	p.seenByClient.Store(snapshotOf(p.client, mintIdentity(t, "micro01")))
	_, err = get(client, p.web.URL)
	require.ErrorIs(t, err, certstore.ErrStranger)
	p.web.Close() // waits for requests under way
	require.EqualValues(t, 1, p.reached.Load())
}

// A removed client's next byte, on an open connection, is refused.
func TestGuardDropsRemovedMember(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		p := newPair(t, "127.0.0.1:0", guarded, whoAmI)
		config := certstore.ClientTLS(p.client, p.seenByClient.Load, "micro01")
		config.NextProtos = []string{"http/1.1"}
		conn, err := tls.Dial("tcp", p.web.Listener.Addr().String(), config)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
		const request = "GET / HTTP/1.1\r\nHost: micro01\r\n\r\n"
		buffer := make([]byte, 4096)
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		n, err := conn.Read(buffer)
		require.NoError(t, err)
		require.Contains(t, string(buffer[:n]), "200 OK")

		p.seenByServer.Store(snapshotOf(p.server))
		_, _ = io.WriteString(conn, request)
		n, err = conn.Read(buffer)
		if guarded {
			require.Error(t, err)
			require.Zero(t, n)
		} else {
			require.NoError(t, err, "without guard, Require answers")
			require.Contains(t, string(buffer[:n]), "403 Forbidden")
		}
		require.EqualValues(t, 1, p.reached.Load())
	}
}

// What a server was about to send stays unsent.
func TestGuardWritesNothingToRemovedMember(t *testing.T) {
	server, client := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	var current atomic.Pointer[certstore.Snapshot]
	current.Store(snapshotOf(server, client))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	guarded := certstore.Guard(listener)
	defer guarded.Close()
	written := make(chan error, 1)
	go func() {
		raw, err := guarded.Accept()
		if err != nil {
			written <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, certstore.ServerTLS(server, current.Load, certstore.ServerTLSConfig{}))
		if err := conn.Handshake(); err != nil {
			written <- err
			return
		}
		current.Store(snapshotOf(server))
		_, err = conn.Write([]byte("secret"))
		written <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), certstore.ClientTLS(client, always(snapshotOf(server)), "micro01"))
	require.NoError(t, err)
	defer conn.Close()
	require.ErrorIs(t, <-written, certstore.ErrStranger)
}

// A stranger at a guarded listener is the concern of the join handler.
func TestGuardLeavesStrangersAlone(t *testing.T) {
	server, joiner := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	guarded := certstore.Guard(listener)
	defer guarded.Close()
	config := certstore.ServerTLS(server, always(snapshotOf(server)), certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: open}})
	done := make(chan error, 1)
	go func() {
		conn, err := guarded.Accept()
		if err != nil {
			done <- err
			return
		}
		done <- echo(tls.Server(conn, config))
	}()
	client, asked := certstore.JoinerTLS(joiner, joinProtocol, func(tls.ConnectionState) error { return nil })
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, call(conn))
	require.NoError(t, <-done)
	require.True(t, asked())
}
