package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// spoken is a connection over which requests go one after the other.
type spoken struct {
	a    *attacker
	id   *certstore.Identity // that it shows
	conn *tls.Conn
	in   *bufio.Reader
}

func (a *attacker) speak(protocol string) (*spoken, error) {
	id := a.ids[a.turn.Load()%uint64(len(a.ids))]
	conn, err := a.dialAs(id, protocol)
	if err != nil {
		return nil, err
	}
	return &spoken{a: a, id: id, conn: conn, in: bufio.NewReader(conn)}, nil
}

func (s *spoken) close() { s.conn.NetConn().Close() }

// ask sends one request as it stands and returns the status and body of the reply.
func (s *spoken) ask(text string) (int, []byte, error) {
	if _, err := io.WriteString(s.conn, text); err != nil {
		s.a.count(0)
		return 0, nil, err
	}
	resp, err := http.ReadResponse(s.in, nil)
	if err != nil {
		s.a.count(0)
		return 0, nil, err
	}
	body, err := io.ReadAll(resp.Body)
	s.a.count(resp.StatusCode)
	return resp.StatusCode, body, err
}

func post(endpoint, headers string, body []byte) string {
	return fmt.Sprintf("POST /microtrust/2/%s HTTP/1.1\r\nHost: initiator\r\n%sContent-Length: %d\r\n\r\n%s", endpoint, headers, len(body), body)
}

// repeat sends what make makes until the connection breaks or the attack is over.
func (a *attacker) repeat(protocol string, make func() string) (units int) {
	s, err := a.speak(protocol)
	if err != nil {
		return 1
	}
	defer s.close()
	for ; a.ctx.Err() == nil; units++ {
		if _, _, err := s.ask(make()); err != nil {
			return units + 1
		}
	}
	return units
}

func helloBody() []byte {
	var nonce [16]byte
	rand.Read(nonce[:])
	body, _ := json.Marshal(map[string]string{"protocol": trust.Protocol, "nonce": hex.EncodeToString(nonce[:]), "selector": ""}) // never fails
	return body
}

// fillTable begins handshakes.
func (a *attacker) fillTable() int {
	return a.repeat(trust.Protocol, func() string { return post("hello", "", helloBody()) })
}

// malformed goes through what breaks the rules at one place or another.
func (a *attacker) malformed() int {
	zeros := strings.Repeat("0", 64)
	bad := []string{
		post("hello", "", []byte("{")),
		post("hello", "", []byte(strings.Repeat("[", 4000))),
		post("hello", "", []byte(`{"protocol":null}`)),
		post("join", "", helloBody()),
		post("join", "Authorization: Microtrust-2 handshake="+zeros[:32]+", sequence=1, share="+zeros+", mac="+zeros+"\r\n", helloBody()),
		post("result", "Authorization: Microtrust-2 handshake="+zeros[:32]+", sequence=2, mac="+zeros+"\r\n", []byte("{}")),
		post("nothing", "", nil),
		"GET / HTTP/1.1\r\nHost: initiator\r\n\r\n",
		"PUT /1.0/secrets HTTP/1.1\r\nHost: initiator\r\nContent-Length: 3\r\n\r\nabc",
	}
	n := 0
	return a.repeat(trust.Protocol, func() string {
		n++
		return bad[n%len(bad)]
	})
}

// slowReaders ask for more replies than any buffer holds, and read none.
func (a *attacker) slowReaders() int {
	conn, err := a.dialTLS(trust.Protocol)
	if err != nil {
		return 1
	}
	asked := strings.Repeat(post("hello", "", helloBody()), 64)
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	units := 0
	for ; err == nil && units < 64*64; units += 64 {
		_, err = io.WriteString(conn, asked)
	}
	a.hold(conn.NetConn())
	return max(units, 1)
}

// giants send headers that do not end, and bodies as large as the protocol allows, and larger.
func (a *attacker) giants() int {
	conn, err := a.dialTLS(trust.Protocol)
	if err != nil {
		return 1
	}
	defer conn.NetConn().Close()
	line := "X: " + strings.Repeat("x", 4000) + "\r\n"
	text := "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\n" + strings.Repeat(line, 64)
	switch a.turn.Load() % 3 {
	case 1:
		text = post("join", "", bytes.Repeat([]byte("x"), 64<<10))
	case 2:
		text = post("hello", "", bytes.Repeat([]byte("x"), 1<<20))
	}
	_, err = io.WriteString(conn, text)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		a.count(0)
	}
	return 1
}

// introductions are as large as they may be, of the right cluster, and hold nothing that verifies.
func (a *attacker) introductions() int {
	statement := make([]byte, 1000)
	rand.Read(statement)
	all := make([][]byte, 256)
	for i := range all {
		all[i] = statement
	}
	body, err := json.Marshal(map[string]any{"cluster": a.told.Server.Cluster, "statements": all})
	if err != nil {
		return 0
	}
	return a.repeat(trust.IntroduceProtocol, func() string { return post("introduce", "", body) })
}

// microCloud sends an intent whose code is wrong, one per connection, as the older format has it.
func (a *attacker) microCloud() int {
	s, err := a.speak("http/1.1")
	if err != nil {
		return 1
	}
	defer s.close()
	random := make([]byte, 16+32)
	rand.Read(random)
	header := "Authorization: MicroCloud-1.0 " + hex.EncodeToString(random[:16]) + ":" + hex.EncodeToString(random[16:])
	_, _, _ = s.ask(fmt.Sprintf("POST /1.0/session/join HTTP/1.1\r\nHost: initiator\r\n%s\r\nContent-Length: %d\r\n\r\n%s",
		header, 60<<10, strings.Repeat(" ", 60<<10)))
	return 1
}
