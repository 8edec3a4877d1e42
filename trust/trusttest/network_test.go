package trusttest_test

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/trust/trusttest"
)

// lan is a network with a listener of "b", to which "a" dials.
type lan struct {
	t *testing.T
	*trusttest.Network
	ln net.Listener
}

func newLAN(t *testing.T, s trusttest.Schedule) *lan {
	t.Helper()
	n, err := trusttest.NewNetwork(s)
	require.NoError(t, err)
	ln, err := n.Listen("b")
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return &lan{t, n, ln}
}

func (l *lan) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Minute)
	defer cancel()
	return l.Dialer("a")(ctx, "tcp", l.Address("b"))
}

// pair returns both ends of a new connection.
func (l *lan) pair() (a, b net.Conn) {
	l.t.Helper()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.ln.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
	}()
	a, err := l.dial()
	require.NoError(l.t, err)
	return a, <-accepted
}

// say lets the ends write in turn, and returns what each of them got, and after what time.
func say(t *testing.T, a, b net.Conn, words ...string) (atA, atB string, took time.Duration) {
	t.Helper()
	began := time.Now()
	type heard struct {
		text string
		last time.Time
	}
	got := [2]chan heard{make(chan heard, 1), make(chan heard, 1)}
	for i, c := range []net.Conn{a, b} {
		require.NoError(t, c.SetReadDeadline(began.Add(10*time.Second)))
		go func() {
			h := heard{last: began}
			for buf := make([]byte, 100); ; h.last = time.Now() {
				k, err := c.Read(buf)
				if h.text += string(buf[:k]); err != nil {
					got[i] <- h
					return
				}
			}
		}()
	}
	for i, word := range words {
		[]net.Conn{a, b}[i%2].Write([]byte(word))
		synctest.Wait()
	}
	first, second := <-got[0], <-got[1]
	if second.last.After(first.last) {
		first.last = second.last
	}
	return first.text, second.text, first.last.Sub(began)
}

// TestFaults: each fault does to a connection what it is documented to do, in its direction and from its byte on, and nothing else.
func TestFaults(t *testing.T) {
	fate := func(f trusttest.Fault, toward trusttest.Toward, at int) trusttest.Fate {
		return trusttest.Fate{From: "a", To: "b", N: 1, Fault: f, Toward: toward, At: at, Size: 5, Wait: 3 * time.Second}
	}
	const s, c = trusttest.Server, trusttest.Client
	for _, tt := range []struct {
		fate trusttest.Fate
		atB  string // of hello world
		atA  string // of HELLO WORLD
		late bool
	}{
		{fate(trusttest.None, s, 0), "hello world", "HELLO WORLD", false},
		{fate(trusttest.Silence, s, 3), "hel", "HELLO WORLD", false},
		{fate(trusttest.Silence, c, 0), "hello world", "", false},
		{fate(trusttest.Delay, c, 0), "hello world", "HELLO WORLD", true},
		{fate(trusttest.Delay, c, 11), "hello world", "HELLO WORLD", false},
		{fate(trusttest.Cut, s, 8), "hello wo", "HELLO ", false},
		{fate(trusttest.Truncate, s, 2), "heworld", "HELLO WORLD", false},
		{fate(trusttest.Corrupt, c, 6), "hello world", "HELLO wORLD", false},
		{fate(trusttest.Repeat, s, 0), "first time", "HELLO WORLD", false},
		{fate(trusttest.Repeat, s, 6), "hello first time", "HELLO WORLD", false},
		{fate(trusttest.Reorder, c, 0), "hello world", "WORLDHELLO ", false},
		{fate(trusttest.Reorder, c, 7), "hello world", "HELLO WORLD", true},
		{fate(trusttest.Reflect, s, 6), "hello ", "HELLO worldWORLD", false},
		{fate(trusttest.Splice, c, 0), "hello world", "FIRST WORLD", false},
		{fate(trusttest.Splice, c, 6), "hello world", "HELLO TIME", false},
	} {
		t.Run(tt.fate.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, trusttest.Schedule{Fates: []trusttest.Fate{tt.fate}})
				a, b := l.pair()
				atA, atB, _ := say(t, a, b, "first ", "FIRST ", "time", "TIME")
				require.Equal(t, "FIRST TIME", atA)
				require.Equal(t, "first time", atB)
				require.Empty(t, l.History())

				a, b = l.pair()
				atA, atB, took := say(t, a, b, "hello ", "HELLO ", "world", "WORLD")
				require.Equal(t, tt.atA, atA)
				require.Equal(t, tt.atB, atB)
				require.Equal(t, tt.late, took >= time.Second, took)
				if tt.fate.Fault != trusttest.None && tt.fate.At < 11 {
					require.Equal(t, []trusttest.Fate{tt.fate}, l.History())
				} else {
					require.Empty(t, l.History())
				}

				l.Heal()
				a, b = l.pair()
				atA, atB, _ = say(t, a, b, "hello", "HELLO")
				require.Equal(t, "HELLO", atA)
				require.Equal(t, "hello", atB)
			})
		})
	}
}

// TestRefused: nobody is reached who does not listen, is unknown, is dead or is refused by the schedule.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, trusttest.Schedule{Fates: []trusttest.Fate{{From: "a", To: "b", N: 0, Fault: trusttest.Refuse}}})
		_, err := l.dial()
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		_, err = l.Dialer("a")(t.Context(), "tcp", "192.0.2.77:1")
		require.ErrorIs(t, err, syscall.ENETUNREACH)
		_, err = l.Dialer("b")(t.Context(), "tcp", l.Address("a"))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		_, err = l.Listen("b")
		require.Error(t, err, "it listens already")

		a, b := l.pair()
		l.Kill("b")
		_, err = a.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		_, err = b.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		_, err = l.dial()
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		l.Revive("b")
		a, b = l.pair()
		atA, atB, _ := say(t, a, b, "hello", "HELLO")
		require.Equal(t, "hello HELLO", atB+" "+atA)
		require.NoError(t, l.ln.Close())
		_, err = l.dial()
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

// TestSplit: what is on its way waits while a machine is apart, whoever said so, and arrives afterwards.
func TestSplit(t *testing.T) {
	for name, s := range map[string]trusttest.Schedule{
		"by hand":     {},
		"by schedule": {Splits: []trusttest.Split{{Group: []string{"a"}, After: 2, Wait: 20 * time.Second}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLAN(t, s)
				a, b := l.pair()
				atA, atB, took := say(t, a, b, "one", "ONE")
				require.Equal(t, "one ONE", atB+" "+atA)
				require.Zero(t, took)
				if len(s.Splits) == 0 {
					l.Split("a")
					go func() {
						<-time.After(20 * time.Second)
						l.Heal()
					}()
				}
				began := time.Now()
				a.Write([]byte("two"))
				require.NoError(t, b.SetReadDeadline(began.Add(time.Second)))
				_, err := b.Read(make([]byte, 3))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.NoError(t, b.SetReadDeadline(time.Time{}))
				_, err = b.Read(make([]byte, 3))
				require.NoError(t, err)
				require.Equal(t, 20*time.Second, time.Since(began))
			})
		})
	}
}

// TestTwoGroups: in each of two groups everybody is reached, and nobody across.
func TestTwoGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := trusttest.NewNetwork(trusttest.Schedule{})
		require.NoError(t, err)
		defer n.Close()
		machines := []string{"a", "b", "c", "d"}
		for _, name := range machines {
			ln, err := n.Listen(name)
			require.NoError(t, err)
			go func() {
				for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
					defer c.Close()
				}
			}()
		}
		reached := func() (pairs []string) {
			for _, from := range machines {
				for _, to := range machines {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					if c, err := n.Dialer(from)(ctx, "tcp", n.Address(to)); err == nil && from < to {
						pairs = append(pairs, from+to)
						defer c.Close()
					}
					cancel()
				}
			}
			return pairs
		}
		n.Split("a", "c")
		require.Equal(t, []string{"ac", "bd"}, reached())
		n.Split("d")
		require.Equal(t, []string{"ac"}, reached())
		n.Heal()
		require.Len(t, reached(), 6)
	})
}

// TestNothingIsLeft: the bubble ends, with connections open that a fault holds back.
func TestNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, trusttest.Schedule{Fates: []trusttest.Fate{
			{From: "a", To: "b", N: 0, Fault: trusttest.Silence}, {From: "a", To: "b", N: 1, Fault: trusttest.Delay, Wait: time.Hour},
			{From: "a", To: "b", N: 2, Fault: trusttest.Reorder}, {From: "a", To: "b", N: 3, Fault: trusttest.Middle},
		}})
		for range 5 {
			a, b := l.pair()
			a.Write([]byte("hello"))
			b.Write([]byte("hello"))
		}
		l.Split("b")
		began := time.Now()
		l.Close()
		require.Equal(t, began, time.Now())
	})
}
