package trusttest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust/trusttest"
)

// echo is a server that notes what it heard and from whom, and answers with the number of the request.
type echo struct {
	id *certstore.Identity

	mu    sync.Mutex
	heard []string
	peer  certstore.Fingerprint
}

func newIdentity(t *testing.T, name string) *certstore.Identity {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return id
}

func (e *echo) serve(raw net.Conn) {
	conn := tls.Server(raw, &tls.Config{
		Certificates: []tls.Certificate{e.id.TLSCertificate()}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"echo"},
	})
	defer raw.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.peer = certstore.FingerprintOf(conn.ConnectionState().PeerCertificates[0])
		e.heard = append(e.heard, r.URL.Path+" "+string(body)+" "+brief(r.Header.Get("Authorization")))
		n := len(e.heard)
		e.mu.Unlock()
		text := fmt.Sprintf("reply %d", n)
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nAuthentication-Info: %s\r\n\r\n%s", len(text), info(byte(n)), text)
	}
}

// authorization and info are headers with a MAC that can be told from others; brief is what there is to tell.
func authorization(n byte) string {
	return hmacauth.FormatAuthorization(hmacauth.Credentials{Sequence: uint64(n), MAC: hmacauth.MAC{0xa0 + n}})
}

func info(n byte) string { return hmacauth.FormatAuthenticationInfo(hmacauth.MAC{0xb0 + n}) }

func brief(header string) string {
	if _, mac, ok := strings.Cut(header, "mac="); ok {
		return mac[:2]
	}
	return "none"
}

// ask sends requests over one connection, and returns what came back to each.
func (e *echo) ask(t *testing.T, l *lan, id *certstore.Identity, texts ...string) (got []string, peer certstore.Fingerprint) {
	t.Helper()
	go func() {
		if raw, err := l.ln.Accept(); err == nil {
			e.serve(raw)
		}
	}()
	raw, err := l.dial()
	require.NoError(t, err)
	defer raw.Close()
	conn := tls.Client(raw, certstore.PeerTLS(certstore.PeerTLSConfig{Identity: id, Protocols: []string{"echo"}, Verify: func(leaf *x509.Certificate) error {
		peer = certstore.FingerprintOf(leaf)
		return nil
	}}))
	in := bufio.NewReader(conn)
	for i, text := range texts {
		fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\nAuthorization: %s\r\n\r\n%s", len(text), authorization(byte(i)), text)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return append(got, "closed"), peer
		}
		body, _ := io.ReadAll(resp.Body)
		got = append(got, fmt.Sprint(resp.StatusCode, " ", string(body), " ", brief(resp.Header.Get("Authentication-Info"))))
	}
	return got, peer
}

// TestMessages: who ends TLS does to messages what the faults are documented to do.
func TestMessages(t *testing.T) {
	const s, c = trusttest.Server, trusttest.Client
	good := []string{"200 reply 3 b3", "200 reply 4 b4", "200 reply 5 b5"}
	asked := []string{"/echo x a0", "/echo y a1", "/echo z a2"}
	for _, tt := range []struct {
		fault  trusttest.Fault
		toward trusttest.Toward
		size   int
		heard  []string // by the server
		got    []string // by the client
	}{
		{trusttest.Middle, s, 0, asked, good},
		{trusttest.MessageDrop, s, 0, asked[:1], []string{good[0], "closed"}},
		{trusttest.MessageDrop, c, 0, asked[:2], []string{good[0], "closed"}},
		{trusttest.MessageRepeat, s, 0, []string{asked[0], asked[1], asked[1], asked[2]}, []string{good[0], good[2], "200 reply 6 b6"}},
		{trusttest.MessageRepeat, c, 0, asked, []string{good[0], good[1], good[1]}},
		{trusttest.MessageReorder, s, 0, []string{asked[0], asked[1], asked[0], asked[2]}, []string{good[0], good[1], "200 reply 6 b6"}},
		{trusttest.MessageReorder, c, 0, asked, []string{good[0], good[0], good[1]}},
		{trusttest.MessageReflect, s, 0, []string{asked[0], asked[2]}, []string{good[0], "200 y a1", good[1]}},
		{trusttest.MessageReflect, c, 0, []string{asked[0], asked[1], "/echo reply 4 b4", asked[2]}, []string{good[0], good[1], "200 reply 6 b6"}},
		{trusttest.MessageSplice, s, 0, []string{asked[0], "/echo q a1", asked[2]}, good},
		{trusttest.MessageSplice, s, 1, []string{asked[0], "/echo y a1", asked[2]}, good},
		{trusttest.MessageSplice, c, 0, asked, []string{good[0], "200 reply 2 b4", good[2]}},
		{trusttest.MessageSplice, c, 1, asked, []string{good[0], "200 reply 4 b2", good[2]}},
		{trusttest.MessageAlter, s, 7, []string{asked[0], "/echo y none", asked[2]}, good},
		{trusttest.MessageAlter, c, 2, asked, []string{good[0], "200 reply 5 b4", good[2]}},
		{trusttest.MessageAlter, c, 6, asked, []string{good[0], "202 reply 4 b4", good[2]}},
	} {
		f := trusttest.Fate{From: "a", To: "b", N: 1, Fault: tt.fault, Toward: tt.toward, At: 1, Size: tt.size}
		t.Run(f.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := trusttest.Fate{From: "a", To: "b", N: 0, Fault: trusttest.Middle, At: 9} // there to be listened to
				l := newLAN(t, trusttest.Schedule{Fates: []trusttest.Fate{before, f}})
				e := &echo{id: newIdentity(t, "b")}
				id := newIdentity(t, "a")
				first, _ := e.ask(t, l, id, "p", "q")
				require.Len(t, first, 2)
				got, peer := e.ask(t, l, id, "x", "y", "z")
				require.Equal(t, tt.got, got)
				require.Equal(t, tt.heard, e.heard[2:])
				require.NotEqual(t, e.id.Fingerprint(), peer, "he has a certificate of his own")
				require.NotEqual(t, id.Fingerprint(), e.peer)
				require.Equal(t, []trusttest.Fate{f}, l.History())
			})
		})
	}
}

// TestStolenKeys: with the keys of both machines, nobody sees who is in the middle.
func TestStolenKeys(t *testing.T) {
	for _, stolen := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l := newLAN(t, trusttest.Schedule{Stolen: stolen, Fates: []trusttest.Fate{{From: "a", To: "b", Fault: trusttest.MessageAlter, Size: 7}}})
			e, id := &echo{id: newIdentity(t, "b")}, newIdentity(t, "a")
			l.Steal("b", e.id)
			l.Steal("a", id)
			_, peer := e.ask(t, l, id, "x")
			require.Equal(t, stolen, peer == e.id.Fingerprint())
			require.Equal(t, stolen, e.peer == id.Fingerprint())
			require.Equal(t, []string{"/echo x none"}, e.heard)
		})
	}
}
