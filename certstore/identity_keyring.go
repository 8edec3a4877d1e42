package certstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// keyring is the identities that a store works with. It is immutable and replaced as a whole.
type keyring struct {
	current      *Identity // presented, and what this machine signs with
	next         *Identity // takes over; nil: none is ready
	former       *Identity // was taken over from; nil: none
	formerDamage error     // why the former cannot be used, though it is there
}

// openKeyring returns the identity and what a rotation has put beside it on disk. If the disk has another identity by now
// than id, as after a rotation, that one is taken: what id was is in its place.
func openKeyring(id *Identity) (*keyring, error) {
	keys := &keyring{current: id}
	if id.home == nil {
		return keys, nil
	}
	root, err := id.home.open()
	if errors.Is(err, fs.ErrNotExist) {
		return keys, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certstore: open identity: %w", err)
	}
	defer root.Close()
	if err := resume(root); err != nil {
		return nil, err
	}
	_ = sweep(root, identityTemp) // keys that nobody uses; what fails is left to the next time
	on, err := fingerprintIn(root, identityDir)
	if errors.Is(err, ErrNoIdentity) {
		return keys, nil
	}
	if err == nil && on != id.fingerprint {
		keys.current, err = id.home.load(root, identityDir, id.name)
	}
	if err != nil {
		return nil, err
	}
	keys.next, _ = id.home.load(root, identityNext, id.name) // Rotate reads it again, and reports what is wrong
	if keys.former, err = id.home.load(root, identityOld, id.name); err != nil && !errors.Is(err, ErrNoIdentity) {
		keys.formerDamage = err
	}
	if keys.former != nil && keys.former.key == keys.current.key { // a copy that somebody made; nothing to retire
		keys.former = nil
	}
	return keys, nil
}

// afterRetirement destroys the former key if it is gone already, which is where a crash can interrupt a retirement. What
// fails is left to RetireIdentity.
func (k *keyring) afterRetirement(st *state) *keyring {
	if k.former == nil || !st.snapshot.Gone(k.former.key) || k.current.home.destroy(identityOld) != nil {
		return k
	}
	return &keyring{current: k.current, next: k.next}
}

// successor returns the identity that waits in "identity.next", or makes one there if mayMake allows it.
func (id *Identity) successor(mayMake func() error) (*Identity, error) {
	if id.home == nil {
		return nil, fmt.Errorf("%w: it is not on disk; use RotateTo", ErrForeignIdentity)
	}
	root, err := id.home.open()
	if err != nil {
		return nil, fmt.Errorf("certstore: rotate identity: %w", err)
	}
	defer root.Close()
	if !vacant(root, identityNext) {
		next, err := id.home.load(root, identityNext, id.name)
		if err != nil {
			return nil, err
		}
		return next, id.mayBecome(next)
	}
	if !id.SelfSigned() {
		return nil, fmt.Errorf("%w: an authority issued it; get a certificate with a new key from there and use StageIdentity",
			ErrForeignIdentity)
	}
	if err := mayMake(); err != nil {
		return nil, err
	}
	return id.home.makeNext(root, id)
}

// switchTo makes next the present identity on disk, where it must be waiting. Without a home there is nothing to do.
func (h *home) switchTo(next *Identity) error {
	if h == nil {
		return nil
	}
	root, err := h.open()
	if err != nil {
		return fmt.Errorf("certstore: switch identity: %w", err)
	}
	defer root.Close()
	sub := identityNext
	if vacant(root, sub) { // the directories are switched already, and that was not known to be durable
		sub = identityDir
	}
	on, err := fingerprintIn(root, sub)
	if err != nil {
		return err
	}
	if on != next.fingerprint {
		return fmt.Errorf("%w: %s holds another identity than the one that was announced, %v",
			ErrIdentity, filepath.Join(root.Name(), sub), next.fingerprint)
	}
	if err := switchDirs(root); err != nil {
		return fmt.Errorf("certstore: switch identity: %w", err)
	}
	return nil
}

// destroy destroys the identity in one directory on disk, if there is one.
func (h *home) destroy(sub string) error {
	if h == nil {
		return nil
	}
	root, err := h.open()
	if err != nil {
		return fmt.Errorf("certstore: destroy a key: %w", err)
	}
	defer root.Close()
	if err := discard(root, sub); err != nil {
		return fmt.Errorf("certstore: destroy the key in %s: %w", filepath.Join(root.Name(), sub), err)
	}
	return nil
}

// nextInvalid returns why the next identity cannot be presented now, if its certificate is not valid.
func (k *keyring) nextInvalid(now time.Time) error {
	if k.next == nil {
		return nil
	}
	return checkValidity(k.next.Certificate(), now)
}
