package certstore

import (
	"errors"
)

// StageIdentity writes the identity that the next Store.Rotate takes, from two PEM files as of ParseIdentity: for machines
// whose certificates come from an own authority, and whoever wants a key of another kind. dir is the directory of the
// present identity, protection its protection (see LoadIdentity). The certificate must bear the name of the present one.
// Staging the same again does nothing. It is on storage, whole, when this returns; nobody is told of it before Rotate.
//
// Errors: ErrNoIdentity without a present identity; ErrIdentity if what is given cannot be used, has the key of the present
// identity, or bears another name; ErrStaged if another identity is staged already; those of LoadIdentity.
func StageIdentity(dir string, certPEM, keyPEM []byte, protection KeyProtection) error {
	return errors.New("certstore: StageIdentity is not there yet")
}

// DestroyIdentity overwrites and deletes all private keys in the directory of an identity: for a machine that has left its
// cluster, after Store.Leave. What a file system or a disk keeps of overwritten data is beyond its reach; a KeyProtection
// helps there. Call it again after an error or a crash. A directory without identity is no error.
func DestroyIdentity(dir string) error {
	return errors.New("certstore: DestroyIdentity is not there yet")
}
