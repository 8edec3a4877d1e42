package main

import (
	"net"
	"time"
)

// socket is where a daemon listens. It stays open while the daemon is away: a system gives a port that it chose to somebody else once
// nobody has it.
type socket struct{ *net.TCPListener }

// open begins one use of the socket.
func (s socket) open() error { return s.SetDeadline(time.Time{}) }

// Close ends it.
func (s socket) Close() error { return s.SetDeadline(time.Now()) }

// turnAway leaves nobody waiting who connects, until stop is called.
func (s socket) turnAway() (stop func() error, err error) {
	over := make(chan struct{})
	stop = func() error {
		err := s.Close()
		<-over
		return err
	}
	err = s.open()
	go func() {
		defer close(over)
		for conn, err := s.Accept(); err == nil; conn, err = s.Accept() {
			_ = conn.Close()
		}
	}()
	return stop, err
}
