package main

import (
	"crypto/tls"
	"io"
	"net"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
)

// halfOpen connects and says nothing.
func (a *attacker) halfOpen() int {
	conn, err := a.dial()
	if err == nil {
		a.hold(conn)
	}
	return 1
}

// tlsHellos makes the server compute its side of a TLS handshake, for the price of a few hundred bytes that are always the same.
func (a *attacker) tlsHellos() int {
	hello, err := a.recorded()
	if err != nil {
		return 0
	}
	conn, err := a.dial()
	if err != nil {
		return 1
	}
	if _, err := conn.Write(hello); err != nil {
		a.count(0)
	}
	a.hold(conn)
	return 1
}

// recorded returns a TLS hello with a share for each of the customary key exchanges.
func (a *attacker) recorded() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hello != nil {
		return a.hello, nil
	}
	client, server := net.Pipe()
	go func() {
		config, _ := certstore.JoinerTLS(a.ids[0], trust.Protocol, anybody)
		_ = tls.Client(client, config).Handshake() // it ends when the pipe does
	}()
	record := make([]byte, 4096)
	n, err := io.ReadAtLeast(server, record, 5)
	if err == nil {
		var more int
		more, err = io.ReadFull(server, record[n:5+int(record[3])<<8+int(record[4])])
		n += more
	}
	client.Close()
	a.hello = record[:n]
	return a.hello, err
}

// tlsHandshakes completes the handshake, with a certificate of a stranger.
func (a *attacker) tlsHandshakes() int {
	if conn, err := a.dialTLS(trust.Protocol); err == nil {
		conn.NetConn().Close()
	}
	return 1
}

// http2 speaks HTTP/2 at the members' port, with a stranger's certificate, and says so much at once that the server would have to
// allocate for it if it listened.
func (a *attacker) http2() int {
	conn, err := a.dialTLS("h2")
	if err != nil {
		return 1
	}
	defer conn.NetConn().Close()
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	ping := "\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
	for text := preface; err == nil; text = ping {
		_, err = io.WriteString(conn, text)
	}
	return 1
}
