package events

import (
	"encoding/hex"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText is the longest text of a peer in a record, in bytes before it is quoted.
const maxText = 200

// Field says one thing about an event beyond its kind. The zero value says nothing.
type Field struct {
	attr   slog.Attr
	source netip.Addr // of Source
}

// The keys of all fields. Those of a record are its own.
const (
	keySecurity    = "security"
	keyCategory    = "category"
	keyEvent       = "event"
	keyNode        = "node"
	keyService     = "service"
	keyAction      = "action"
	keySubject     = "subject"
	keySource      = "source"
	keySession     = "session"
	keyOutcome     = "outcome"
	keyReason      = "reason"
	keyFingerprint = "fingerprint"
	keyID          = "id"
	keyProtocol    = "protocol"
	keyRole        = "role"
	keyRule        = "rule"
	keyCompared    = "compared"
	keyBy          = "by"
	keyUntil       = "until"
	keyCount       = "count"
	keySince       = "since"
)

// contextKeys are those that every reader of such a log knows; the others are particular to this library.
func contextKeys() []string {
	return []string{keyNode, keyService, keyAction, keySubject, keySource, keySession, keyOutcome, keyReason}
}

func ownKeys() []string {
	return append([]string{keySecurity, keyCategory, keyEvent, keyFingerprint, keyID, keyProtocol, keyRole, keyRule, keyCompared,
		keyBy, keyUntil, keyCount, keySince, slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey}, contextKeys()...)
}

func text(key, value string) Field { return Field{attr: slog.String(key, Quote(value))} }

// Doing says which action an Admin event tells.
func Doing(a Action) Field { return Field{attr: slog.String(keyAction, a.String())} }

// Subject is who an event is about: the name of a member or joiner, which may be a peer's claim.
func Subject(name string) Field { return text(keySubject, name) }

// By is the member that did it, or "" for none.
func By(name string) Field { return text(keyBy, name) }

// Fingerprint is that of the certificate that an event is about.
func Fingerprint(fp [32]byte) Field {
	return Field{attr: slog.String(keyFingerprint, hex.EncodeToString(fp[:]))}
}

// Source is where a request came from. What has none is summed up by its Subject.
func Source(addr netip.Addr) Field {
	f := Field{source: addr}
	if addr.IsValid() {
		f.attr = slog.String(keySource, Quote(addr.String())) // a zone is text
	}
	return f
}

// Session is the id of a session.
func Session(id [16]byte) Field {
	return Field{attr: slog.String(keySession, hex.EncodeToString(id[:]))}
}

// ID names a token, never its secret.
func ID(id string) Field { return text(keyID, id) }

// Protocol is the wire format by which it came.
func Protocol(name string) Field { return text(keyProtocol, name) }

// Role is this machine's in it: "initiator" or "joiner".
func Role(name string) Field { return text(keyRole, name) }

// Rule is what a malformed message breaks.
func Rule(name string) Field { return text(keyRule, name) }

// Compared is how a joiner's fingerprint was compared: "person", "pinned", "policy", "invitation".
func Compared(how string) Field { return text(keyCompared, how) }

// Outcome is how it ended.
func Outcome(how string) Field { return text(keyOutcome, how) }

// Reason is why. It may come from a peer.
func Reason(why string) Field { return text(keyReason, why) }

// Cause is Reason of an error; nothing for nil.
func Cause(err error) Field {
	if err == nil {
		return Field{}
	}
	return Reason(err.Error())
}

// Until is when something ends.
func Until(at time.Time) Field { return Field{attr: slog.Time(keyUntil, at.UTC().Round(0))} }

// Count is how many there were, or may be.
func Count(n int64) Field { return Field{attr: slog.Int64(keyCount, n)} }

// Extra is for what embedders want to say beyond the functions of this package. A key that a record has a meaning for, or that is not one to
// 64 letters, digits and underlines, gets the prefix "extra_" and is made of those.
func Extra(key, value string) Field {
	plain := strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, key[:min(len(key), 64)])
	if plain == "" || plain != key || slices.Contains(ownKeys(), strings.ToLower(plain)) {
		plain = "extra_" + plain
	}
	return text(plain, value)
}

// Quote makes text from a peer safe in a log, whatever its handler does: what is not a plain word is quoted as Go quotes it in ASCII, and
// what is longer than 200 bytes is cut.
func Quote(value string) string {
	if len(value) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(value[end]) {
			end--
		}
		value = value[:end] + "..."
	}
	plain := func(r rune) bool {
		return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("._:/@+-", r)
	}
	if value != "" && strings.IndexFunc(value, func(r rune) bool { return !plain(r) }) < 0 {
		return value
	}
	return strconv.QuoteToASCII(value)
}
