package agekeys

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/redact"
)

// Bounds of the work factor of a passphrase. The cost doubles with each step; DefaultWorkFactor takes about a second and
// 256 MiB, MaxWorkFactor 1 GiB. What was sealed with a higher one is refused, so that a file cannot ask for all memory.
const (
	MinWorkFactor     = 10
	DefaultWorkFactor = 18
	MaxWorkFactor     = 20
)

// rawWorkFactor is scrypt's least: there is nothing to stretch in 256 random bits.
const rawWorkFactor = 1

// maxPlain bounds what Open returns. A private key of 8192 bits is below 5 KiB.
const maxPlain = 32 << 10

// ErrConfig is wrapped by whatever refuses arguments of Passphrase and RawKey.
var ErrConfig = errors.New("agekeys: invalid configuration")

// redacted is embedded by what holds a secret. The alias keeps the embedded field unexported.
type redacted = redact.Secret

// Protection seals and opens private keys. It implements certstore.KeyProtection. Its secret is held in a closure: no
// printing, logging or encoding shows it. The zero value seals and opens nothing.
type Protection struct {
	redacted
	secret     func() string
	workFactor int
}

var _ certstore.KeyProtection = Protection{}

// Passphrase returns a protection by a passphrase of at least one byte, which is copied. The work factor is the logarithm
// to base 2 of scrypt's cost for sealing, from MinWorkFactor to MaxWorkFactor; 0 is DefaultWorkFactor. Opening takes what
// the sealed key says. Below the default it is for tests and for passphrases that nobody can guess. The error wraps ErrConfig.
func Passphrase(passphrase []byte, workFactor int) (Protection, error) {
	if workFactor == 0 {
		workFactor = DefaultWorkFactor
	}
	if len(passphrase) == 0 {
		return Protection{}, fmt.Errorf("%w: empty passphrase", ErrConfig)
	}
	if workFactor < MinWorkFactor || workFactor > MaxWorkFactor {
		return Protection{}, fmt.Errorf("%w: work factor %d is not from %d to %d", ErrConfig, workFactor, MinWorkFactor, MaxWorkFactor)
	}
	return protect(string(passphrase), workFactor), nil
}

// RawKey returns a protection by 32 bytes that nobody can guess: from a random generator or a key derivation, never from
// what a person can remember. They are used as they are, so sealing and opening take no time. All zeros are refused with
// ErrConfig. For "age -d", the passphrase is the key in lower-case hexadecimal digits.
func RawKey(key [32]byte) (Protection, error) {
	if key == [32]byte{} {
		return Protection{}, fmt.Errorf("%w: the key is all zeros", ErrConfig)
	}
	return protect(hex.EncodeToString(key[:]), rawWorkFactor), nil
}

func protect(secret string, workFactor int) Protection {
	return Protection{secret: func() string { return secret }, workFactor: workFactor}
}

// Seal encrypts plain, of at most 32 KiB. Every call gives another result.
func (p Protection) Seal(plain []byte) ([]byte, error) {
	if p.secret == nil {
		return nil, fmt.Errorf("%w: no passphrase and no key", ErrConfig)
	}
	if len(plain) > maxPlain {
		return nil, fmt.Errorf("agekeys: %d bytes are too long for a private key", len(plain))
	}
	recipient, err := age.NewScryptRecipient(p.secret())
	if err != nil {
		return nil, fmt.Errorf("agekeys: %w", err)
	}
	recipient.SetWorkFactor(p.workFactor)
	var sealed bytes.Buffer
	writer, err := age.Encrypt(&sealed, recipient)
	if err != nil {
		return nil, fmt.Errorf("agekeys: seal: %w", err)
	}
	_, err = writer.Write(plain)
	if err := errors.Join(err, writer.Close()); err != nil {
		return nil, fmt.Errorf("agekeys: seal: %w", err)
	}
	return sealed.Bytes(), nil
}

// Open decrypts what Seal returned. The error for another passphrase or key wraps certstore.ErrWrongKey; other errors mean
// that it is damaged, or no age file.
func (p Protection) Open(sealed []byte) ([]byte, error) {
	if p.secret == nil {
		return nil, fmt.Errorf("%w: no passphrase and no key", ErrConfig)
	}
	identity, err := age.NewScryptIdentity(p.secret())
	if err != nil {
		return nil, fmt.Errorf("agekeys: %w", err)
	}
	identity.SetMaxWorkFactor(MaxWorkFactor)
	reader, err := age.Decrypt(bytes.NewReader(sealed), identity)
	if errors.As(err, new(*age.NoIdentityMatchError)) {
		return nil, fmt.Errorf("agekeys: %w; give the one that it was sealed with", certstore.ErrWrongKey)
	}
	if err != nil {
		return nil, fmt.Errorf("agekeys: open: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxPlain+1))
	if err != nil {
		return nil, fmt.Errorf("agekeys: open: %w", err)
	}
	if len(plain) > maxPlain {
		return nil, errors.New("agekeys: open: too long for a private key")
	}
	return plain, nil
}
