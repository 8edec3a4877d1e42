package certstore_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// exchange lets a client and a server speak over a real socket: a handshake, one byte there and the same byte back.
func exchange(t testing.TB, address string, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	defer listener.Close()
	done := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			done <- err
			return
		}
		done <- echo(tls.Server(conn, server))
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	conn := tls.Client(raw, client)
	clientErr = call(conn)
	_ = conn.Close()
	return <-done, clientErr
}

func echo(conn *tls.Conn) error {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.Handshake(); err != nil {
		return err
	}
	octet := make([]byte, 1)
	if _, err := conn.Read(octet); err != nil {
		return err
	}
	_, err := conn.Write(octet)
	return err
}

func call(conn *tls.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte{'x'}); err != nil {
		return err
	}
	n, err := conn.Read(make([]byte, 1))
	if n == 1 {
		return nil // the end of the connection may come with the last byte
	}
	return err
}
