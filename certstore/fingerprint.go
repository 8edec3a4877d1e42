package certstore

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
)

const (
	groupDigits = 4  // digits between two hyphens of the grouped forms
	shortDigits = 20 // digits of the short form: 80 bits
)

// Fingerprint is the SHA-256 hash of a certificate's DER encoding: the value that people compare and that TLS pins.
// It is a comparable array, so that it serves as a map key and == compares the whole of it. It is no secret.
// Programs compare the full value; Short, Words and Picture are for people who compare two screens, and nothing parses
// them. See docs/protocol.md, "Fingerprints".
type Fingerprint [sha256.Size]byte

// FingerprintOf returns the fingerprint of cert, which must come from x509.ParseCertificate.
func FingerprintOf(cert *x509.Certificate) Fingerprint {
	return sha256.Sum256(cert.Raw)
}

// ParseFingerprint reads a full fingerprint, in one of the two forms that String and Grouped print and in no other: not
// shortened, not in upper case, not with other separators. The error wraps ErrHash.
func ParseFingerprint(text string) (Fingerprint, error) {
	digits := text
	if len(text) == hashDigits+hashDigits/groupDigits-1 {
		digits = strings.ReplaceAll(text, "-", "")
	}
	var f Fingerprint
	if err := parseHash((*[sha256.Size]byte)(&f), digits); err != nil {
		return Fingerprint{}, err
	}
	if text != digits && text != f.Grouped() {
		return Fingerprint{}, fmt.Errorf("%w: hyphens must stand after every %d digits", ErrHash, groupDigits)
	}
	return f, nil
}

// String returns the full fingerprint as 64 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return hexString(f) }

// Grouped returns the full fingerprint as 16 groups of 4 lower-case hexadecimal digits with hyphens between them, 79 bytes.
func (f Fingerprint) Grouped() string { return grouped(hexString(f)) }

// Short returns the first 80 bits as 5 groups of 4 lower-case hexadecimal digits with hyphens between them, 24 bytes.
// To make another certificate with the same short form takes about 2⁸⁰ attempts.
func (f Fingerprint) Short() string { return grouped(hexString(f)[:shortDigits]) }

func grouped(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += groupDigits {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(digits[i : i+groupDigits])
	}
	return b.String()
}

// IsZero reports whether f is the zero value, which is no certificate's fingerprint.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// LogValue logs the full fingerprint as its String.
func (f Fingerprint) LogValue() slog.Value { return slog.StringValue(f.String()) }

// MarshalText returns what String returns. It never fails.
func (f Fingerprint) MarshalText() ([]byte, error) { return hexText(f), nil }

// UnmarshalText accepts what ParseFingerprint accepts. On error f is unchanged and the error wraps ErrHash.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	parsed, err := ParseFingerprint(string(text))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}
