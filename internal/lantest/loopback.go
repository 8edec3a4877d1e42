package lantest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreeAddress returns an address of this very machine, on loopback, on which nobody listens. Its port is below those that systems
// give to outgoing connections: one of those would perhaps be taken by the time that somebody listens there.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		ln, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(10_000+rand.IntN(22_000)))
		if err == nil {
			defer ln.Close()
			return ln.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}
