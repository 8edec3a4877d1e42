package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// A fingerprint that parses prints as it was written, in one of its two forms.
func FuzzParseFingerprint(f *testing.F) {
	for _, seed := range []string{sampleFull, sampleGrouped, sampleWords, "", sampleGrouped[:24], strings.ToUpper(sampleFull), strings.Repeat("-", 79)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fingerprint, err := certstore.ParseFingerprint(text)
		switch {
		case err != nil && (!errors.Is(err, certstore.ErrHash) || !fingerprint.IsZero()):
			t.Fatalf("refused with %v and %v", err, fingerprint)
		case err == nil && text != fingerprint.String() && text != fingerprint.Grouped():
			t.Fatalf("%q parsed as %v", text, fingerprint)
		}
	})
}

// A name that passes is made of few characters, is no address and not a path, and passes as host of an address.
func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"micro01", "micro01.example.org", "", "-", ".", "10.0.0.1", "0x7f", "A", "a..b", "xn--a", strings.Repeat("a.", 127)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if certstore.CheckName(name) != nil {
			return
		}
		if name == "" || len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Contains(name, "..") {
			t.Fatalf("accepted %q", name)
		}
		if _, err := netip.ParseAddr(name); err == nil {
			t.Fatalf("accepted the address %q", name)
		}
		if err := certstore.CheckAddress(net.JoinHostPort(name, "9443")); err != nil {
			t.Fatalf("name passes and address does not: %v", err)
		}
	})
}

// An address that passes is host and port that net takes, in the spelling that net and netip give.
func FuzzCheckAddress(f *testing.F) {
	for _, seed := range []string{"10.0.0.1:9443", "[::1]:1", "micro01:65535", "", ":0", "[fe80::1%eth0]:9443", "[::ffff:1.2.3.4]:1", "[a]:1", "a:01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		if certstore.CheckAddress(addr) != nil {
			return
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil || net.JoinHostPort(host, port) != addr {
			t.Fatalf("accepted %q: %v", addr, err)
		}
		if number, err := strconv.Atoi(port); err != nil || number < 1 || number > 65535 {
			t.Fatalf("accepted port %q", port)
		}
		if ip, err := netip.ParseAddr(host); err == nil && (ip.String() != host || ip.Zone() != "") {
			t.Fatalf("accepted host %q", host)
		} else if err != nil && certstore.CheckName(host) != nil {
			t.Fatalf("accepted host %q", host)
		}
	})
}

// An identity that loads signs what verifies; whatever else is an ErrIdentity that shows nothing of the key's file.
func FuzzParseIdentity(f *testing.F) {
	keys := newKeys(f)
	for _, key := range keys {
		cert, private := encodeIdentity(f, mintCertificate(f, "micro01", key), key)
		f.Add(cert, private)
		f.Add(private, cert)
		f.Add(append(bytes.Clone(cert), cert...), private)
		f.Add(cert[:len(cert)/2], private)
	}
	f.Fuzz(func(t *testing.T, certificates, private []byte) {
		id, err := certstore.ParseIdentity(certificates, private)
		if err != nil {
			if !errors.Is(err, certstore.ErrIdentity) || id != nil {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if certstore.CheckName(id.Name()) != nil || certstore.CheckCertificate(id.Certificate()) != nil {
			t.Fatalf("accepted %v", id)
		}
		signature, err := id.Sign(certificates)
		if err != nil || certstore.VerifySignature(id.PublicKeyDER(), certificates, signature) != nil {
			t.Fatalf("signs what does not verify: %v", err)
		}
	})
}

// fixedKeys are the same in every process, and sign the same message alike, so that a worker of the fuzzing engine knows
// the signatures that another one started from.
func fixedKeys(t testing.TB) []crypto.Signer {
	t.Helper()
	var keys []crypto.Signer
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		scalar := bytes.Repeat([]byte{7}, (curve.Params().BitSize+7)/8)
		key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
		require.NoError(t, err)
		keys = append(keys, repeatable{key})
	}
	return append(keys, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
}

// repeatable is an ECDSA key that signs without randomness, after RFC 6979.
type repeatable struct{ *ecdsa.PrivateKey }

func (k repeatable) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.PrivateKey.Sign(nil, digest, opts)
}

// Whatever the engine makes of a genuine signature, of its message or of its key doesn't verify.
func FuzzVerifySignature(f *testing.F) {
	message := []byte("message")
	genuine := make(map[string]string)
	add := func(key crypto.Signer) (spki, signature []byte) {
		id := identityOf(f, key)
		signature, err := id.Sign(message)
		require.NoError(f, err)
		f.Add(id.PublicKeyDER(), message, signature)
		f.Add(id.PublicKeyDER(), message[1:], signature)
		f.Add(id.PublicKeyDER()[1:], message, signature[1:])
		return id.PublicKeyDER(), signature
	}
	for _, key := range fixedKeys(f) {
		spki, signature := add(key)
		_, again := add(key)
		require.Equal(f, signature, again)
		genuine[string(spki)] = string(signature)
	}
	add(newKeys(f)["RSA 2048"])
	f.Fuzz(func(t *testing.T, spki, signed, signature []byte) {
		err := certstore.VerifySignature(spki, signed, signature)
		if err != nil {
			if !errors.Is(err, certstore.ErrSignature) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if known, ours := genuine[string(spki)]; ours && (known != string(signature) || !bytes.Equal(signed, message)) {
			t.Fatal("forged")
		}
		if _, err := x509.ParsePKIXPublicKey(spki); err != nil {
			t.Fatalf("verified under a key that does not parse: %v", err)
		}
	})
}
