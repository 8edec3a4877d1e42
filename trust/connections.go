package trust

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// connections bounds how many connections each member has, over which something was asked once: a daemon that sets no deadlines
// would keep them as long as the member likes. See docs/protocol.md, section "Limits".
type connections struct {
	most int // of one member
	who  func(*tls.Conn) (certstore.KeyID, bool)
	from *familiar // learns where members call from

	mu   sync.Mutex
	by   map[net.Conn]certstore.KeyID
	each map[certstore.KeyID]*held
}

// held is what one member has.
type held struct {
	idle []net.Conn // the one that has been longest in this state first
	busy int
}

func newConnections(most int, who func(*tls.Conn) (certstore.KeyID, bool), from *familiar) *connections {
	return &connections{most: most, who: who, from: from, by: map[net.Conn]certstore.KeyID{}, each: map[certstore.KeyID]*held{}}
}

// change notes another state of a connection, whoever's it is. It closes one of its member's if that has too many now: of those
// that are idle the one that has been longest, and if all are at work, the newcomer.
func (c *connections) change(conn net.Conn, state http.ConnState) {
	key, known := c.key(conn, state)
	if !known {
		return
	}
	if state == http.StateActive {
		c.from.note(time.Now(), addressOf(conn.RemoteAddr().String()), key)
	}
	if leaving := c.count(conn, key, state); leaving != nil {
		_ = beneath(leaving).Close() // and not TLS's farewell, for which a peer that reads nothing would be waited for
	}
}

func (c *connections) key(conn net.Conn, state http.ConnState) (key certstore.KeyID, known bool) {
	c.mu.Lock()
	key, known = c.by[conn]
	c.mu.Unlock()
	if secure, ok := conn.(*tls.Conn); ok && !known && state == http.StateActive {
		return c.who(secure)
	}
	return key, known
}

func (c *connections) count(conn net.Conn, key certstore.KeyID, state http.ConnState) (leaving net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.each[key]
	if of == nil {
		of = &held{}
		c.each[key] = of
	}
	if _, had := c.by[conn]; had {
		of.remove(conn)
		delete(c.by, conn)
	}
	switch state {
	case http.StateActive:
		of.busy++
	case http.StateIdle:
		of.idle = append(of.idle, conn)
	default:
		if of.busy+len(of.idle) == 0 {
			delete(c.each, key)
		}
		return nil
	}
	c.by[conn] = key
	switch {
	case of.busy+len(of.idle) <= c.most:
		return nil
	case len(of.idle) > 0:
		leaving = of.idle[0]
	default:
		leaving = conn
	}
	of.remove(leaving) // now, for its end may be told after others have come, who would not make it leave again
	delete(c.by, leaving)
	return leaving
}

func (h *held) remove(conn net.Conn) {
	if i := slices.Index(h.idle, conn); i >= 0 {
		h.idle = slices.Delete(h.idle, i, i+1)
		return
	}
	h.busy--
}

// memberOf returns whose connection it is.
func (s *Service) memberOf(conn *tls.Conn) (certstore.KeyID, bool) {
	certificates := conn.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return certstore.KeyID{}, false
	}
	m, ok := s.store.Snapshot().ByCertificate(certificates[0].Raw)
	if !ok {
		return certstore.KeyID{}, false
	}
	return m.Key, true
}
