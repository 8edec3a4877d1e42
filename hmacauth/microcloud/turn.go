package microcloud

import (
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// Turn is the right to one derivation. It comes from [Deriver.Wait], belongs to one goroutine, and holds a place that nobody else
// gets until Done is called.
type Turn struct {
	deriver *Deriver
	used    bool
	ended   bool
}

// Done gives the place back. If something was derived, the memory that it took is collected first, so that the next derivation does
// not come on top of it. That is a collection of the whole process and takes as long as its heap is large. Done may be called again.
func (t *Turn) Done() {
	if t.ended {
		return
	}
	t.ended = true
	if t.used {
		t.deriver.reclaim()
	}
	<-t.deriver.running
	<-t.deriver.admitted
}

// reclaim collects what a derivation leaves, and keeps it at hand for the next one unless makeRoom would give it back at once: taking it
// from the operating system anew costs more than deriving on some machines.
func (d *Deriver) reclaim() {
	if d.idle() == 0 {
		debug.FreeOSMemory() // which collects as well
		return
	}
	runtime.GC()
}

// makeRoom sees to it that a derivation which is about to begin does not come on top of free memory, which need not be in one piece of
// the size that is needed: of what is free, as much stays as the places that nobody has could take besides.
func (d *Deriver) makeRoom() {
	free := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}}
	metrics.Read(free)
	if free[0].Value.Uint64() > uint64(d.idle()*DerivationMemory+DerivationMemory/4) {
		debug.FreeOSMemory()
	}
}

// idle returns how many places nobody has.
func (d *Deriver) idle() int { return cap(d.running) - len(d.running) }

// NewKey draws a salt of [SaltSize] bytes and derives a key to sign with, once for as many bodies as there are. The errors are
// [ErrPassphrase], [ErrRandom], and [ErrBusy] for a turn that was used or has ended.
func (t *Turn) NewKey(p Passphrase) (*Key, error) {
	if p.IsZero() {
		return nil, ErrPassphrase
	}
	salt := make([]byte, SaltSize)
	if _, err := io.ReadFull(t.deriver.random, salt); err != nil {
		return nil, ErrRandom
	}
	return t.derive(p, salt)
}

// Verify derives the key for the salt of h and checks the code of the body, which is what was received, byte for byte. Nothing of
// it may be decoded before Verify has returned nil. Whatever is refused without a derivation should be refused before: limit and
// read the body first, so that a slow sender occupies no derivation. The errors are [ErrMAC]; and, when nothing was derived,
// [ErrPassphrase], a [*HeaderError] for a header without a salt, and [ErrBusy] for a turn that was used or has ended.
func (t *Turn) Verify(p Passphrase, h Header, body []byte) error {
	if err := checkVerify(p, h); err != nil {
		return err
	}
	key, err := t.derive(p, h.salt)
	if err != nil {
		return err
	}
	return key.Verify(h, body)
}

func checkVerify(p Passphrase, h Header) error {
	if p.IsZero() {
		return ErrPassphrase
	}
	if h.salt == nil {
		return &HeaderError{"a key is derived from the salt of a header, and this one has none"}
	}
	return nil
}

// derive runs Argon2id.
func (t *Turn) derive(p Passphrase, salt []byte) (*Key, error) {
	if t.used || t.ended {
		return nil, ErrBusy
	}
	t.used = true
	t.deriver.makeRoom()
	return newKey(Version, salt, t.deriver.argon2id([]byte(p.text()), salt, argonTime, argonMemory, argonThreads, keySize)), nil
}
