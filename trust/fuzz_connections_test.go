package trust

import (
	"net"
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/stretchr/testify/require"
)

// numbered is a connection over which nothing goes.
type numbered struct {
	net.Conn
	n int
}

// kept is what is expected of a connection: whether it idles, and since when it is in its state.
type kept struct {
	idle  bool
	since int
}

// FuzzConnections lets connections of three members be used, rest and end in any order, also such as were made to leave before: nobody has
// more than may be, who leaves is the one that has rested longest, or else the newcomer, and of what has ended nothing is remembered.
func FuzzConnections(f *testing.F) {
	f.Add([]byte{2, 0, 0, 3, 0, 6, 0, 9, 0, 0, 1, 12, 0, 3, 2, 6, 2, 9, 2, 0, 0})
	f.Add([]byte{1, 1, 0, 1, 1, 4, 0, 4, 1, 7, 1, 1, 0, 2, 0, 5, 0, 8, 3, 2, 3})
	f.Add([]byte{3, 0, 1, 3, 0, 3, 1, 6, 0, 6, 1, 9, 0, 9, 1, 3, 0, 12, 0, 12, 1, 15, 1})
	f.Add([]byte{1, 0, 0, 3, 0, 0, 1, 3, 1, 6, 0, 0, 1, 3, 2, 9, 0, 6, 1, 9, 1, 12, 0}) // two rest, and a third comes
	states := []http.ConnState{http.StateActive, http.StateIdle, http.StateClosed, http.StateHijacked}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := &tape{data[:min(len(data), 400)]}
		most := 1 + p.pick(4)
		c := newConnections(most, nil, nil)
		conns := make([]net.Conn, 24)
		for i := range conns {
			conns[i] = &numbered{n: i}
		}
		open := map[int]kept{}
		for now := 0; p.more(); now++ {
			i := p.pick(len(conns))
			state := states[p.pick(len(states))]
			if _, known := open[i]; !known && state != http.StateActive {
				_, known = c.key(conns[i], state)
				require.False(t, known, "nobody asked anything over it, or it was made to leave")
				continue
			}
			leaving := c.count(conns[i], keyNumber(i%3), state)
			if delete(open, i); state == http.StateActive || state == http.StateIdle {
				open[i] = kept{state == http.StateIdle, now}
			}
			gone := whoLeaves(open, i, most)
			if delete(open, gone); gone < 0 {
				require.Nil(t, leaving)
			} else {
				require.Same(t, conns[gone], leaving)
			}
			require.Len(t, c.by, len(open))
			each := map[certstore.KeyID]held{}
			for i, k := range open {
				require.Equal(t, keyNumber(i%3), c.by[conns[i]])
				of := each[keyNumber(i%3)]
				if of.busy++; k.idle {
					of.busy--
					of.idle = append(of.idle, conns[i])
				}
				each[keyNumber(i%3)] = of
			}
			require.Len(t, c.each, len(each))
			for key, of := range each {
				require.Equal(t, of.busy, c.each[key].busy)
				require.ElementsMatch(t, of.idle, c.each[key].idle)
			}
		}
	})
}

// whoLeaves is which connection has to leave after another one changed; -1: none.
func whoLeaves(open map[int]kept, changed, most int) int {
	all, leaves := 0, changed
	for i, k := range open {
		if i%3 != changed%3 {
			continue
		}
		all++
		if best := open[leaves]; k.idle && (!best.idle || k.since < best.since) {
			leaves = i
		}
	}
	if all <= most {
		return -1
	}
	return leaves
}
