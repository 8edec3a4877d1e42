package trusttest

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// link is one connection through the network: an end that leads to who dialled, and one that leads to who was dialled.
type link struct {
	network *Network
	fate    Fate
	from    *host
	to      *host
	near    net.Conn // to who dialled
	far     net.Conn // to who was dialled
	record  *record
	before  *record // of the connection before, between the same machines; nil: there was none

	happened bool // something of the fate; needs the lock of the network
}

// reachFunc opens the connection to who was dialled, so that it seems to come from source.
type reachFunc func(ctx context.Context, source netip.AddrPort) (net.Conn, error)

// connect begins the connection whose end near is, with the fate that it has.
func (n *Network) connect(ctx context.Context, from, to string, near net.Conn, reach reachFunc) error {
	l, err := n.newLink(from, to, near)
	if err != nil {
		return err
	}
	if l.fate.Fault == Refuse {
		l.came()
		return syscall.ECONNREFUSED
	}
	if !n.together(ctx, l) {
		return syscall.ETIMEDOUT
	}
	source := l.from.source()
	if l.fate.Fault >= Middle {
		source = netip.MustParseAddrPort("192.0.2.254:40000")
	}
	if l.far, err = reach(ctx, source); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil || l.from.dead || l.to.dead {
		l.far.Close()
		return syscall.ECONNREFUSED
	}
	n.links[l] = true
	if l.fate.Fault >= Middle {
		n.running.Go(l.middle)
		return nil
	}
	var both sync.WaitGroup
	both.Go((&flow{link: l, toward: Server, from: l.near, to: l.far}).run)
	both.Go((&flow{link: l, toward: Client, from: l.far, to: l.near}).run)
	n.running.Go(func() { both.Wait(); l.forget() })
	return nil
}

func (n *Network) newLink(from, to string, near net.Conn) (*link, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	pair := [2]string{from, to}
	l := &link{network: n, from: n.host(from), to: n.host(to), near: near, record: &record{}, before: n.records[pair]}
	if l.from.dead || l.to.dead {
		return nil, syscall.ECONNREFUSED
	}
	l.fate = Fate{From: from, To: to}
	if !n.healed {
		l.fate = n.schedule.fate(from, to, n.dialled[pair])
	}
	n.dialled[pair]++
	n.records[pair] = l.record
	return l, nil
}

// end closes both ends.
func (l *link) end() {
	l.near.Close()
	l.far.Close()
}

// came notes that what the fate has for the link has happened. Only the first time counts.
func (l *link) came() {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	if !l.happened && l.fate.Fault != None {
		l.happened = true
		l.network.history = append(l.network.history, l.fate)
	}
}

func (l *link) forget() {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	delete(l.network.links, l)
}

// crosses reports whether the ends of the link are on different sides.
func (l *link) crosses(group []string) bool {
	return slices.Contains(group, l.from.name) != slices.Contains(group, l.to.name)
}

// together waits until nothing keeps the ends of the link apart, and reports whether that came.
func (n *Network) together(ctx context.Context, l *link) bool {
	for {
		n.mu.Lock()
		i := slices.IndexFunc(n.splits, func(s *split) bool { return l.crosses(s.group) })
		if i < 0 {
			n.mu.Unlock()
			return n.ctx.Err() == nil && ctx.Err() == nil
		}
		over := n.splits[i].over
		n.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
			return false
		case <-n.ctx.Done():
			return false
		}
	}
}

// count notes that something passes between the ends of a link, and divides the network where that is the time for it.
func (n *Network) count(l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, planned := range n.schedule.Splits {
		if !l.crosses(planned.Group) {
			continue
		}
		if n.crossed[i] == planned.After && !n.healed {
			s := n.divide(planned.Group)
			n.came++
			n.running.Go(func() { n.rejoin(s, planned.Wait) })
		}
		n.crossed[i]++
	}
}

// rejoin ends a split after a time, unless Heal has.
func (n *Network) rejoin(s *split, after time.Duration) {
	if !n.pause(after, s.over) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.splits, s); i >= 0 {
		close(s.over)
		n.splits = slices.Delete(n.splits, i, i+1)
	}
}

// pause waits, and reports whether the time is over; false if the network or until ended before.
func (n *Network) pause(d time.Duration, until <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-until:
	case <-n.ctx.Done():
	}
	return false
}

// flow is one direction of a link whose TLS is left alone.
type flow struct {
	link   *link
	toward Toward
	from   net.Conn
	to     net.Conn
	sent   int  // bytes before what was read last
	lost   bool // nothing is passed on any more

	mu   sync.Mutex // of writing to the machine that is sent to
	held []byte
}

// holdTime is for how long something is held back that nothing came behind.
const holdTime = time.Second

// run passes on what comes, until nothing comes any more. It reads also what it does not pass on, so that the sender does not wait.
func (f *flow) run() {
	defer f.to.Close()
	buffer := make([]byte, maxRecord)
	for {
		k, err := f.from.Read(buffer)
		if k > 0 {
			chunk := bytes.Clone(buffer[:k])
			f.link.record.add(f.toward, chunk)
			f.link.network.count(f.link)
			if !f.lost && !f.pass(chunk) {
				f.lost = true
			}
			f.sent += k
		}
		if err != nil {
			f.write(nil)
			return
		}
	}
}

// pass delivers what was written at once, in the way that the fate has for it, and reports whether anything more will be.
func (f *flow) pass(chunk []byte) bool {
	n, fate := f.link.network, f.link.fate
	at := min(max(fate.At-f.sent, 0), len(chunk)) // where it begins, in the chunk
	here := fate.At >= f.sent && at < len(chunk)
	if at == len(chunk) || fate.Toward != f.toward {
		fate.Fault = None
	} else if here {
		f.link.came()
	}
	if fate.Fault == Delay {
		n.pause(fate.Wait, nil)
	}
	if !n.together(n.ctx, f.link) {
		return false
	}
	switch {
	case fate.Fault == Silence:
		f.write(chunk[:at])
		return false
	case fate.Fault == Cut:
		f.write(chunk[:at])
		f.link.end()
		return false
	case fate.Fault == Truncate && here:
		return f.write(chunk[:at])
	case fate.Fault == Corrupt && here:
		chunk[at] ^= 1 << (fate.Size % 8)
	case fate.Fault == Repeat && f.link.before != nil:
		f.write(chunk[:at])
		f.write(f.link.before.get(f.toward))
		return false
	case fate.Fault == Reorder && here:
		f.hold(chunk)
		return true
	case fate.Fault == Reflect:
		f.write(chunk[:at])
		_, err := f.from.Write(chunk[at:])
		return err == nil
	case fate.Fault == Splice && here && f.link.before != nil:
		if other := f.link.before.get(f.toward); len(other) > f.sent {
			chunk = other[f.sent:min(len(other), f.sent+len(chunk))]
		}
	}
	return f.write(chunk)
}

// hold keeps a chunk until something came behind it, but not for long.
func (f *flow) hold(chunk []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held = chunk
	f.link.network.running.Go(func() {
		f.link.network.pause(holdTime, nil)
		f.write(nil)
	})
}

// write delivers, and behind it what was held back.
func (f *flow) write(chunk []byte) bool {
	f.mu.Lock()
	held := f.held
	f.held = nil
	f.mu.Unlock()
	for _, part := range [][]byte{chunk, held} {
		if len(part) == 0 {
			continue
		}
		if _, err := f.to.Write(part); err != nil {
			return false
		}
	}
	return true
}

func (r *record) add(toward Toward, chunk []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[toward] = append(r.sent[toward], chunk[:min(len(chunk), maxRecord-len(r.sent[toward]))]...)
}

func (r *record) get(toward Toward) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.sent[toward])
}
