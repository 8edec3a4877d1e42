// Package microcloudpeer is a peer of the format MicroCloud-1.0 in both roles, and what the programs of this module do when
// they meet it. It exists in tests alone. The files peer_*.go were written from the description of the format, without a look
// at the rooms that speak it here, and use nothing of this module: TestPeerStandsOnItsOwn sees to it.
package microcloudpeer

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

const schemeVersion = "MicroCloud-1.0"

// derived has the keys that were derived, by passphrase and salt, since each takes 64 MiB and a tenth of a second.
var derived sync.Map

// deriveKey is Argon2id with the parameters of the scheme: 3 passes over 64 MiB with 4 threads, 32 bytes.
func deriveKey(passphrase string, salt []byte) []byte {
	name := [2]string{passphrase, string(salt)}
	if key, ok := derived.Load(name); ok {
		return key.([]byte)
	}
	key := argon2.IDKey([]byte(passphrase), salt, 3, 64*1024, 4, 32)
	derived.Store(name, key)
	return key
}

func computeMAC(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(nil)
}

// sign returns the value of Authorization for a body.
func sign(passphrase string, body []byte) string { return signWith(passphrase, salt(), body) }

func signWith(passphrase string, salt, body []byte) string {
	return schemeVersion + " " + hex.EncodeToString(salt) + ":" + hex.EncodeToString(computeMAC(deriveKey(passphrase, salt), body))
}

// salt returns the 16 random bytes that a sender chooses. All peers of a process have one, since a key for each would be dear.
var salt = sync.OnceValue(func() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
})

// refusal is an answer other than success: a status and the text of the format.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.text) }

func refusef(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// checkHeader verifies a header over a body. It returns a *refusal.
func checkHeader(passphrase, header string, body []byte) error {
	if header == "" {
		return refusef(400, "Authorization header is missing")
	}
	version, value, _ := strings.Cut(header, " ")
	if version == "" || value == "" {
		return refusef(500, "Failed to parse Authorization header: no version or no value")
	}
	if version != schemeVersion {
		return refusef(400, "Authorization header uses version %q but expected %q", version, schemeVersion)
	}
	saltText, macText, _ := strings.Cut(value, ":")
	salt, err := hex.DecodeString(saltText)
	if err != nil || len(salt) == 0 {
		return refusef(500, "Failed to parse Authorization header: salt")
	}
	mac, err := hex.DecodeString(macText)
	if err != nil || len(mac) == 0 {
		return refusef(500, "Failed to parse Authorization header: HMAC")
	}
	if !hmac.Equal(mac, computeMAC(deriveKey(passphrase, salt), body)) {
		return refusef(403, "Invalid HMAC")
	}
	return nil
}
