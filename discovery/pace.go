package discovery

import (
	"net/netip"
	"sync"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
)

// newPace limits how many datagrams are looked at: so many per second of one source, and so many of all together.
func newPace(source, total int) (*ratelimit.Admission, error) {
	all := ratelimit.Rate{Events: total, Per: time.Second}
	return ratelimit.NewAdmission(ratelimit.AdmissionConfig{
		Source: ratelimit.Rate{Events: source, Per: time.Second}, Block: all, Total: all, MaxSources: maxSources,
	})
}

// maxSources is how many sources are remembered.
const maxSources = 1024

// host returns addr as package ratelimit tells machines apart. To it, everybody in one IPv6 /64 is one source; on one link
// that is everybody, so the half that tells hosts apart goes first.
func host(addr netip.Addr) netip.Addr {
	if addr.Is4() || addr.Is4In6() {
		return addr.Unmap()
	}
	b := addr.As16()
	return netip.AddrFrom16([16]byte(append(b[8:], b[:8]...)))
}

// recent remembers the last keys that it was shown. It is safe for concurrent use.
type recent[K comparable] struct {
	mu    sync.Mutex
	ring  [1024]K
	known map[K]struct{}
	next  int
}

// again reports whether key was shown before, and remembers it.
func (r *recent[K]) again(key K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[key]; ok {
		return true
	}
	if r.known == nil {
		r.known = make(map[K]struct{}, len(r.ring))
	}
	if len(r.known) == len(r.ring) {
		delete(r.known, r.ring[r.next])
	}
	r.known[key] = struct{}{}
	r.ring[r.next] = key
	r.next = (r.next + 1) % len(r.ring)
	return false
}
