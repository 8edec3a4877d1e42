package trusttest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/microtrust/microtrust/certstore"
)

// DiskFault is what goes wrong when a disk writes.
type DiskFault uint8

// The faults of disks.
const (
	DiskGood   DiskFault = iota // it is written
	DiskFails                   // nothing is written, and an error says so; the next write is good again
	DiskFull                    // likewise, and the disk stays full until it is freed
	DiskLies                    // all is written, and an error says that it is not
	DiskBefore                  // the machine crashes before anything is written
	DiskAfter                   // the machine crashes when it is written, before anybody was told

	numDiskFaults
)

func diskFaultNames() []string {
	return []string{"good", "fails", "full", "lies", "crash-before", "crash-after"}
}

// String returns the name that schedules are written with.
func (f DiskFault) String() string {
	if f < numDiskFaults {
		return diskFaultNames()[f]
	}
	return fmt.Sprintf("DiskFault(%d)", uint8(f))
}

// ErrDisk is wrapped by all errors that a Disk makes.
var ErrDisk = errors.New("trusttest: the disk has failed")

// Disk is a certstore.Backend with the faults of a schedule. Everything that was written stays, so that a store can be opened on it
// again, as after a restart.
type Disk struct {
	inner certstore.Backend
	fates map[int]DiskFault
	crash func()

	mu      sync.Mutex
	writes  int
	full    bool
	crashed bool
	came    []DiskFault // what went wrong
}

// NewDisk returns the disk of a machine, which keeps what it writes on inner and takes from the schedule what concerns the machine.
// Crash is called when it crashes, from the goroutine that writes; nil is nothing.
func NewDisk(inner certstore.Backend, machine string, s Schedule, crash func()) *Disk {
	d := &Disk{inner: inner, fates: map[int]DiskFault{}, crash: crash}
	for _, f := range s.Disks {
		if _, twice := d.fates[f.N]; f.Machine == machine && !twice {
			d.fates[f.N] = f.Fault
		}
	}
	return d
}

// Crashed reports whether the machine has crashed and was not started again: reading and writing fail until then.
func (d *Disk) Crashed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.crashed
}

// Heal frees the disk, starts the machine again if it has crashed, and lets nothing go wrong any more.
func (d *Disk) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.crashed, d.fates = false, false, nil
}

// next decides over a write.
func (d *Disk) next() DiskFault {
	d.mu.Lock()
	defer d.mu.Unlock()
	fault := d.fates[d.writes]
	d.writes++
	switch {
	case d.crashed:
		return DiskBefore
	case d.full:
		return DiskFull
	}
	if fault != DiskGood {
		d.came = append(d.came, fault)
	}
	d.full = fault == DiskFull
	d.crashed = fault == DiskBefore || fault == DiskAfter
	return fault
}

// history returns what went wrong, in that order.
func (d *Disk) history() []DiskFault {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.came)
}

// Append writes a batch, or what the schedule has for it.
func (d *Disk) Append(ctx context.Context, batch certstore.Batch) error {
	was := d.Crashed()
	fault := d.next()
	if fault == DiskGood || fault == DiskLies || fault == DiskAfter {
		if err := d.inner.Append(ctx, batch); err != nil {
			return err
		}
	}
	if fault == DiskGood {
		return nil
	}
	if d.Crashed() && !was && d.crash != nil {
		d.crash()
	}
	return fmt.Errorf("%w: %v", ErrDisk, fault)
}

// Load reads what was written.
func (d *Disk) Load(ctx context.Context) (certstore.Batch, error) {
	if d.Crashed() {
		return certstore.Batch{}, fmt.Errorf("%w: the machine has crashed", ErrDisk)
	}
	return d.inner.Load(ctx)
}

// Watch is that of what is inside.
func (d *Disk) Watch(ctx context.Context) iter.Seq[certstore.Batch] { return d.inner.Watch(ctx) }

// Close closes what is inside.
func (d *Disk) Close() error { return d.inner.Close() }
