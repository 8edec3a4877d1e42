package main

import (
	"io"
	"net"
	"time"

	"github.com/microtrust/microtrust/trust"
)

// Bounds of what drips: how many connections at once, and how long a byte takes.
const (
	mostDripping = 2000
	betweenBytes = 100 * time.Millisecond
)

// slowSenders send a byte at a time: of a TLS hello, of a header, or of a body.
func (a *attacker) slowSenders() int {
	select {
	case a.dripper <- struct{}{}:
	case <-a.ctx.Done():
		return 0
	}
	leave := func() { <-a.dripper }
	conn, at, text, err := a.slowSender()
	if err != nil {
		leave()
		return 1
	}
	a.drips.Go(func() {
		defer leave()
		defer at.Close()
		a.drip(conn, text)
	})
	return 1
}

// slowSender returns a connection, what is to be closed in the end, and what is to drip.
func (a *attacker) slowSender() (to io.Writer, at net.Conn, text []byte, err error) {
	kind := a.turn.Load() % 3
	if kind == 0 {
		if text, err = a.recorded(); err != nil {
			return nil, nil, nil, err
		}
		at, err = a.dial()
		return at, at, text, err
	}
	conn, err := a.dialTLS(trust.Protocol)
	if err != nil {
		return nil, nil, nil, err
	}
	head := "POST /microtrust/2/hello HTTP/1.1\r\nHost: initiator\r\nContent-Length: 4096\r\n\r\n"
	if kind == 1 {
		return conn, conn.NetConn(), []byte(head), nil
	}
	_, err = io.WriteString(conn, head)
	return conn, conn.NetConn(), make([]byte, 4096), err
}

// drip writes until all is said, the other side has enough, or the attack is over.
func (a *attacker) drip(to io.Writer, text []byte) {
	next := time.NewTicker(betweenBytes)
	defer next.Stop()
	for i := range text {
		if _, err := to.Write(text[i : i+1]); err != nil {
			a.count(0)
			return
		}
		select {
		case <-next.C:
		case <-a.ctx.Done():
			return
		}
	}
}
