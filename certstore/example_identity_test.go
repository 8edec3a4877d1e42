package certstore_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/microtrust/microtrust/certstore"
)

func ExampleLoadOrCreateIdentity() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	first, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		panic(err)
	}
	again, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		panic(err)
	}
	fmt.Println(again.Name(), again.Fingerprint() == first.Fingerprint())
	// Output: micro01 true
}

func ExampleLoadIdentity() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	_, err = certstore.LoadIdentity(dir, nil)
	fmt.Println(errors.Is(err, certstore.ErrNoIdentity))
	// Output: true
}

func ExampleGenerateIdentity() {
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	if err != nil {
		panic(err)
	}
	fmt.Println(id.Name(), id.Certificate().PublicKeyAlgorithm)
	// Output: micro01 Ed25519
}

// The key may live in a TPM or HSM: all that is needed is a crypto.Signer and its certificate.
func ExampleNewIdentity() {
	generated, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		panic(err)
	}
	device := generated.TLSCertificate().PrivateKey.(crypto.Signer) // stands for the device
	id, err := certstore.NewIdentity([]*x509.Certificate{generated.Certificate()}, device)
	if err != nil {
		panic(err)
	}
	fmt.Println(id.Name(), id.KeyID() == generated.KeyID())
	// Output: micro01 true
}

func ExampleParseIdentity() {
	_, err := certstore.ParseIdentity([]byte("certificate"), []byte("key"))
	fmt.Println(err)
	// Output: certstore: unusable identity: certificates: no PEM block
}

func ExampleParseFingerprint() {
	f, err := certstore.ParseFingerprint("a6c5bca9d0ac354779dfcfd444ef4fe4e2e8e43ad1d84771321755a124b83500")
	if err != nil {
		panic(err)
	}
	fmt.Println(f.Short())
	_, err = certstore.ParseFingerprint(f.Short())
	fmt.Println(err)
	// Output:
	// a6c5-bca9-d0ac-3547-79df
	// certstore: malformed hash: want 64 lower-case hexadecimal digits, got 24 bytes
}

// The forms in which two screens show a fingerprint.
func ExampleFingerprint() {
	f := certstore.Fingerprint(sha256.Sum256([]byte("microtrust")))
	fmt.Println(f)
	fmt.Println(f.Grouped())
	fmt.Println(f.Short())
	fmt.Println(f.Words())
	fmt.Println(f.Picture())
	// Output:
	// a6c5bca9d0ac354779dfcfd444ef4fe4e2e8e43ad1d84771321755a124b83500
	// a6c5-bca9-d0ac-3547-79df-cfd4-44ef-4fe4-e2e8-e43a-d1d8-4771-3217-55a1-24b8-3500
	// a6c5-bca9-d0ac-3547-79df
	// numbing resisting uncolored chariot sleeve manmade cornstalk
	// +--[microtrust]---+
	// |       E..o. . oB|
	// |         . oo = o|
	// |          o .. *.|
	// |       o o    ...|
	// |        S .+ .  +|
	// |     o = +o.o..=.|
	// |    . * +  .o.o *|
	// |     + +  .o o *.|
	// |    . .   .++ . +|
	// +----[SHA256]-----+
}

func ExampleCheckName() {
	fmt.Println(certstore.CheckName("micro01.example.org"))
	fmt.Println(certstore.CheckName("Micro01"))
	// Output:
	// <nil>
	// certstore: name "Micro01" has an upper-case letter: names are lower case
}

func ExampleCheckAddress() {
	fmt.Println(certstore.CheckAddress("[2001:db8::1]:9443"))
	fmt.Println(certstore.CheckAddress("[2001:DB8::1]:9443"))
	// Output:
	// <nil>
	// certstore: address "[2001:DB8::1]:9443" is not in its canonical spelling "[2001:db8::1]:9443"
}

// A machine gets a new key, in three steps that a program may take at any time, and again after a crash.
func ExampleStore_Rotate() {
	dir, err := os.MkdirTemp("", "microtrust")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	id, err := certstore.LoadOrCreateIdentity(dir, certstore.IdentityConfig{Name: "micro01"})
	if err != nil {
		panic(err)
	}
	store, err := certstore.Open(dir, id)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	ctx := context.Background()
	if err := store.Bootstrap(ctx, "192.0.2.1:9443"); err != nil {
		panic(err)
	}
	show := func() { fmt.Println(store.Rotation(), store.Snapshot().Len(), store.Identity().KeyID() == id.KeyID()) }

	if err := store.Rotate(ctx); err != nil { // give the others Statements before going on
		panic(err)
	}
	show()
	if err := store.SwitchIdentity(ctx); err != nil { // leave requests on older connections time to end
		panic(err)
	}
	show()
	if err := store.RetireIdentity(ctx); err != nil {
		panic(err)
	}
	show()
	// Output:
	// announced 2 true
	// switched 2 false
	// none 1 false
}
