package agekeys_test

import (
	"errors"
	"fmt"
	"os"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/agekeys"
)

func ExamplePassphrase() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	protection, err := agekeys.Passphrase([]byte("quartz walnut lantern orbit"), agekeys.MinWorkFactor) // 0 outside of examples
	if err != nil {
		panic(err)
	}
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01", Protection: protection})
	if err != nil {
		panic(err)
	}
	_, err = certstore.LoadIdentity(dir, nil)
	fmt.Println(id.Name(), protection, errors.Is(err, certstore.ErrSealed))
	// Output: micro01 [redacted] true
}

func ExampleRawKey() {
	var key [32]byte
	copy(key[:], "from a TPM, a key service, a file") // in real life: 32 random bytes
	protection, err := agekeys.RawKey(key)
	if err != nil {
		panic(err)
	}
	sealed, err := protection.Seal([]byte("private key"))
	if err != nil {
		panic(err)
	}
	plain, err := protection.Open(sealed)
	fmt.Println(string(plain), err)
	// Output: private key <nil>
}

// A machine's key, which was kept without protection, is sealed while its daemon is stopped.
func Example_changeKeyProtection() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"}); err != nil {
		panic(err)
	}
	protection, err := agekeys.Passphrase([]byte("quartz walnut lantern orbit"), agekeys.MinWorkFactor) // 0 outside of examples
	if err != nil {
		panic(err)
	}
	if err := certstore.ChangeKeyProtection(dir, nil, protection); err != nil {
		panic(err)
	}
	id, err := certstore.LoadIdentity(dir, protection)
	fmt.Println(id.Name(), err)
	// Output: micro01 <nil>
}
