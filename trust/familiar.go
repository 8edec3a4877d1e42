package trust

import (
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// familiar knows the addresses that members call from: those that they have published, and those from which they proved themselves
// lately. It says who may take a place that strangers leave free, and lets nobody in: an address proves nothing. See
// docs/protocol.md, section "Limits".
type familiar struct {
	members func() *certstore.Snapshot

	mu        sync.Mutex
	proved    map[netip.Addr]proof
	published map[netip.Addr]bool
	of        *certstore.Snapshot // that published is of
}

// proof is that a member called from an address.
type proof struct {
	by certstore.KeyID
	at time.Time
}

const (
	provedAddresses = 4         // of each member: the newest ones
	provedLife      = time.Hour // after the newest request from there
)

func newFamiliar(members func() *certstore.Snapshot) *familiar {
	return &familiar{members: members, proved: map[netip.Addr]proof{}}
}

// knows reports whether a member called from an address lately, or has published it. Members are those of this moment.
func (f *familiar) knows(now time.Time, addr netip.Addr) bool {
	addr = bare(addr)
	snapshot := f.members()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of != snapshot {
		f.of, f.published = snapshot, publishedIn(snapshot)
	}
	p, proved := f.proved[addr]
	return f.published[addr] || proved && p.holds(now, snapshot)
}

func (p proof) holds(now time.Time, snapshot *certstore.Snapshot) bool {
	_, member := snapshot.ByKey(p.by)
	return member && now.Sub(p.at) < provedLife
}

// note remembers that a member called from an address, at the cost of the oldest of its others.
func (f *familiar) note(now time.Time, addr netip.Addr, by certstore.KeyID) {
	addr = bare(addr)
	if !addr.IsValid() {
		return
	}
	snapshot := f.members()
	f.mu.Lock()
	defer f.mu.Unlock()
	had := f.proved[addr]
	f.proved[addr] = proof{by, now}
	if had.by == by {
		return
	}
	maps.DeleteFunc(f.proved, func(_ netip.Addr, p proof) bool { return !p.holds(now, snapshot) })
	count, oldest := 0, addr
	for a, p := range f.proved {
		if p.by != by {
			continue
		}
		if count++; p.at.Before(f.proved[oldest].at) {
			oldest = a
		}
	}
	if count > provedAddresses {
		delete(f.proved, oldest)
	}
}

func publishedIn(snapshot *certstore.Snapshot) map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	for m := range snapshot.Members() {
		for _, address := range m.Addresses {
			if addr := bare(addressOf(address)); addr.IsValid() { // a name says nothing
				all[addr] = true
			}
		}
	}
	return all
}

// bare is an address in its one spelling.
func bare(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
