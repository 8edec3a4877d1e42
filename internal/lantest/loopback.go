package lantest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreeAddress returns an address of this very machine, on loopback, on which nobody listens. Its port is below those that systems
// give to outgoing connections: one of those would perhaps be taken by the time that somebody listens there. Until the test ends,
// no test of any process is given the same one: whoever holds a port in UDP has it here.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(22_000)))
		held, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		if ln, err := net.Listen("tcp", address); err == nil {
			ln.Close()
			t.Cleanup(func() { held.Close() })
			return address
		}
		held.Close()
	}
	t.Fatal("no free port")
	return ""
}

// Loopback returns the name of the interface over which this very machine talks to itself, or skips the test.
func Loopback(t testing.TB) string {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("SKIPPED: there is no loopback interface")
	return ""
}
