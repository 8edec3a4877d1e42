package pipe_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/internal/pipe"
	"github.com/stretchr/testify/require"
)

func ends() (near, far net.Conn) {
	addr := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	return pipe.New(addr("192.0.2.1:1"), addr("192.0.2.2:2"))
}

// TestWritesWaitForNobody: both ends say something before either listens, which may be under a lock for which its reader waits.
func TestWritesWaitForNobody(t *testing.T) {
	near, far := ends()
	for _, c := range []net.Conn{near, far} {
		_, err := io.WriteString(c, "farewell")
		require.NoError(t, err)
	}
	require.NoError(t, near.Close())
	require.NoError(t, far.Close())
	require.Equal(t, near.LocalAddr(), far.RemoteAddr())
	require.Equal(t, near.RemoteAddr(), far.LocalAddr())
}

// TestWhatIsInFlightIsBounded: a writer waits when a mebibyte has not been read, until its deadline.
func TestWhatIsInFlightIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := ends()
		chunk := make([]byte, 1<<18)
		for range 4 {
			_, err := near.Write(chunk)
			require.NoError(t, err)
		}
		began := time.Now()
		require.NoError(t, near.SetWriteDeadline(began.Add(time.Second)))
		_, err := near.Write(chunk)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		require.NoError(t, near.SetDeadline(time.Time{}))
		var writing sync.WaitGroup
		writing.Go(func() {
			_, err := near.Write(chunk)
			require.NoError(t, err)
		})
		_, err = io.ReadFull(far, chunk)
		require.NoError(t, err)
		writing.Wait()
	})
}

// TestEnds: what was written is read to its end; who has closed neither reads nor writes; and who has gone cannot be written to.
func TestEnds(t *testing.T) {
	near, far := ends()
	_, err := io.WriteString(near, "one")
	require.NoError(t, err)
	_, err = io.WriteString(near, "two")
	require.NoError(t, err)
	require.NoError(t, near.Close())
	p := make([]byte, 10)
	n, err := far.Read(p)
	require.NoError(t, err)
	require.Equal(t, "one", string(p[:n]), "not together with what came behind it")
	rest, err := io.ReadAll(far)
	require.NoError(t, err)
	require.Equal(t, "two", string(rest))
	_, err = far.Write(p)
	require.ErrorIs(t, err, syscall.EPIPE)
	require.ErrorAs(t, err, new(*net.OpError))
	_, err = near.Read(p)
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = near.Write(p)
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, _ := ends()
		began := time.Now()
		require.NoError(t, near.SetReadDeadline(began.Add(time.Minute)))
		_, err := near.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(began))
		require.True(t, err.(net.Error).Timeout())
	})
}
