package trust_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// needle is a secret that a test looks for in memory. It is kept in disguise, so that the test does not find itself.
type needle []byte

func disguised(secret string) needle {
	n := make(needle, len(secret))
	for i := range len(secret) {
		n[i] = secret[i] ^ 0xff
	}
	return n
}

func (n needle) in(object []byte) bool {
	for i := 0; i+len(n) <= len(object); i++ {
		if object[i]^0xff == n[0] && n.at(object[i:]) {
			return true
		}
	}
	return false
}

func (n needle) at(bytes []byte) bool {
	for i := range n {
		if bytes[i]^0xff != n[i] {
			return false
		}
	}
	return true
}

// onHeap returns how many objects that are still referenced, or were not collected, hold the secret. Stacks are not looked at:
// what a function that has returned left there is overwritten by chance.
func onHeap(t *testing.T, n needle) (found, objects int) {
	t.Helper()
	runtime.GC()
	runtime.GC() // what pools keep goes with the second collection
	path := filepath.Join(t.TempDir(), "heap")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	debug.WriteHeapDump(f.Fd())
	_, err = f.Seek(0, io.SeekStart)
	require.NoError(t, err)
	in := heapDump{t: t, in: bufio.NewReaderSize(f, 1<<20)}
	in.header()
	for object := in.next(); object != nil; object = in.next() {
		objects++
		if n.in(object) {
			found++
		}
	}
	require.Greater(t, objects, 1000, "the dump was not understood")
	return found, objects
}

// heapDump reads the objects out of what runtime/debug.WriteHeapDump writes: https://go.dev/wiki/heapdump15-through-heapdump17
type heapDump struct {
	t  *testing.T
	in *bufio.Reader
}

func (d *heapDump) header() {
	line, err := d.in.ReadString('\n')
	require.NoError(d.t, err)
	require.Equal(d.t, "go1.7 heap dump\n", line)
}

func (d *heapDump) number() uint64 {
	n, err := binary.ReadUvarint(d.in)
	require.NoError(d.t, err)
	return n
}

func (d *heapDump) text() []byte {
	var b bytes.Buffer
	_, err := io.CopyN(&b, d.in, int64(d.number()))
	require.NoError(d.t, err)
	return b.Bytes()
}

// next returns the content of the next object, and nil after the last one: they come before all that is about goroutines.
func (d *heapDump) next() []byte {
	for {
		switch kind := d.number(); kind {
		case 1: // object: address, content, places of pointers
			d.number()
			content := d.text()
			for d.number() != 0 {
				d.number()
			}
			return content
		case 3: // type: address, size, name, whether it is a pointer
			d.number()
			d.number()
			d.text()
			d.number()
		case 6: // parameters: byte order, size of pointers, arena, architecture, experiments, processors
			for range 4 {
				d.number()
			}
			d.text()
			d.text()
			d.number()
		case 8: // method table: address, type
			d.number()
			d.number()
		default:
			require.Equal(d.t, uint64(4), kind, "a goroutine")
			return nil
		}
	}
}
