package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// member is an attacker that has joined, and what it says.
type member struct {
	store  *certstore.Store
	bodies [][]byte
}

func joinAsMember(ctx context.Context, to serverSays, from netip.Addr) (*member, error) {
	j, err := newJoiner("insider", to, from)
	if err != nil {
		return nil, err
	}
	if err := j.join(ctx); err != nil {
		return nil, err
	}
	store := j.cfg.Store
	m := &member{store: store}
	type fields map[string]any
	about := func(more fields) fields {
		more["cluster"], more["digest"] = to.Cluster, store.Snapshot().Digest().String()
		return more
	}
	every := make([]byte, 256)
	have := make([]byte, 0, 32*100_000)
	for i := range every {
		every[i] = byte(i)
	}
	for i := range 100_000 {
		id := [32]byte{byte(i >> 9), byte(i >> 1), byte(i << 7)}
		have = append(have, id[:]...)
	}
	statements := make([][]byte, 1000)
	for i := range statements {
		statements[i] = bytes.Repeat([]byte{byte(i)}, 4000)
	}
	for _, f := range []fields{
		about(fields{}),                                  // nothing new
		about(fields{"buckets": every}),                  // everything is asked for
		about(fields{"buckets": every, "have": have}),    // as many as may be named, none of which exists
		about(fields{"statements": statements}),          // as many as may be sent, none of which verifies
		about(fields{"more": "than the protocol knows"}), // refused
	} {
		body, err := json.Marshal(f)
		if err != nil {
			return nil, err
		}
		m.bodies = append(m.bodies, body)
	}
	m.bodies = append(m.bodies, bytes.Repeat([]byte("["), 9<<20)) // larger than anything that is read
	return m, nil
}

// dialMember connects as the member that the attacker is.
func (a *attacker) dialMember(protocol string) (*tls.Conn, error) {
	conn, err := a.dial()
	if err != nil {
		return nil, err
	}
	config := a.member.store.ClientTLS(serverName)
	config.NextProtos = []string{protocol}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(a.ctx); err != nil {
		a.count(0)
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// memberClient returns a client over one connection, and what ends it.
func (a *attacker) memberClient(protocol string) (*http.Client, func(), error) {
	conn, err := a.dialMember(protocol)
	if err != nil {
		return nil, nil, err
	}
	var once sync.Once
	transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1}
	transport.Protocols.SetHTTP1(protocol != "h2")
	transport.Protocols.SetHTTP2(protocol == "h2")
	transport.DialTLSContext = func(context.Context, string, string) (c net.Conn, err error) {
		err = net.ErrClosed
		once.Do(func() { c, err = conn, nil })
		return c, err
	}
	return &http.Client{Transport: transport}, func() { conn.NetConn().Close() }, nil
}

// exchanges says everything that the member has to say, again and again, until the connection breaks.
func (a *attacker) exchanges(protocol string, atOnce int) int {
	client, end, err := a.memberClient(protocol)
	if err != nil {
		return 1
	}
	defer end()
	var all sync.WaitGroup
	units := make([]int, atOnce)
	for i := range atOnce {
		all.Go(func() {
			for n := i; a.ctx.Err() == nil; n++ {
				units[i]++
				if a.exchange(client, a.member.bodies[n%len(a.member.bodies)]) != nil {
					return
				}
			}
		})
	}
	all.Wait()
	sum := 0
	for _, n := range units {
		sum += n
	}
	return sum
}

func (a *attacker) exchange(client *http.Client, body []byte) error {
	ctx, cancel := context.WithTimeout(a.ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+serverName+trust.MemberPath+"exchange", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		a.count(0)
		return err
	}
	defer resp.Body.Close()
	a.count(resp.StatusCode)
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func (a *attacker) memberHTTP1() int { return a.exchanges("http/1.1", 1) }

func (a *attacker) memberHTTP2() int { return a.exchanges("h2", 16) }

// memberIdle opens connections that stay: over some nothing was ever asked, over some a request was answered, over some one is half said.
func (a *attacker) memberIdle() int {
	kind := a.turn.Load() % 4
	protocol, text := "http/1.1", ""
	switch kind {
	case 1:
		text = "GET /trust/exchange HTTP/1.1\r\nHost: micro01\r\n\r\n"
	case 2:
		text = "POST /trust/exchange HTTP/1.1\r\nHost: micro01\r\nContent-Length: 100000\r\n\r\n{"
	case 3:
		protocol, text = "h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	}
	conn, err := a.dialMember(protocol)
	if err != nil {
		return 1
	}
	if _, err := io.WriteString(conn, text); err != nil {
		a.count(0)
	}
	a.hold(conn.NetConn())
	return 1
}
