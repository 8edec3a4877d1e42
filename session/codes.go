package session

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// CodeInternal is the code of every error that has none of its own. Its text never leaves the machine.
	CodeInternal = "internal"

	maxText = 256 // bytes of a reason or of a peer's text
	maxCode = 32  // bytes of a code
)

type codedError struct {
	code string
	kind error
}

// codes lists every code with its sentinel. The order matters: the first match wins, so what is wrapped beside
// something more general (a cause beside ErrClosed) comes first. Codes are part of the protocol and never change.
func codes() []codedError {
	return []codedError{
		{"expired", ErrExpired},
		{"stopped", ErrStopped},
		{"exhausted", ErrExhausted},
		{"limit-reached", ErrLimitReached},
		{"denied", ErrDenied},
		{"aborted", ErrAborted},
		{"superseded", ErrSuperseded},
		{"duplicate", ErrDuplicate},
		{"removed", ErrRemoved},
		{"invitation-used", ErrInvitationUsed},
		{"invitation-revoked", ErrInvitationRevoked},
		{"invitation-expired", ErrInvitationExpired},
		{"invitation-void", ErrInvitationVoid},
		{"name-conflict", ErrNameConflict},
		{"admission-failed", ErrAdmission},
		{"name-unwanted", ErrUnwantedName},
		{"fingerprint-unwanted", ErrUnwantedFingerprint},
		{"service-mismatch", ErrServiceMismatch},
		{"invalid", ErrInvalid},
		{"unknown-offer", ErrUnknownOffer},
		{"wrong-state", ErrState},
		{"closed", ErrClosed},
	}
}

// CodeOf returns the stable machine-readable code of err, which the protocol carries to the other side. It returns
// "" for nil, the code of a *PeerError as it came, and CodeInternal for an error that this package does not know.
//
// Specification: docs/protocol.md, section "Codes".
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	if peer, ok := errors.AsType[*PeerError](err); ok {
		return peer.Code
	}
	for _, c := range codes() {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	return CodeInternal
}

// TextOf returns the text that goes to the other side beside CodeOf(err): the reason alone where the error has one,
// the details otherwise, in at most 256 bytes. For CodeInternal and for a failed admission it returns "", because
// such texts can name files and addresses of this machine.
func TextOf(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*PeerError](err); ok {
		return e.Text
	}
	if e, ok := errors.AsType[*StoppedError](err); ok {
		return cleanText(e.Reason)
	}
	if e, ok := errors.AsType[*DeniedError](err); ok {
		return cleanText(e.Reason)
	}
	if e, ok := errors.AsType[*AbortedError](err); ok {
		return cleanText(e.Reason)
	}
	if e, ok := errors.AsType[*ServiceMismatchError](err); ok {
		return detail(e, ErrServiceMismatch)
	}
	if e, ok := errors.AsType[*ConflictError](err); ok {
		return detail(e, ErrNameConflict)
	}
	if e, ok := errors.AsType[*FieldError](err); ok {
		return detail(e, ErrInvalid)
	}
	return ""
}

// detail returns the text of err without that of its kind, which the code says already.
func detail(err, kind error) string {
	return cleanText(strings.TrimPrefix(err.Error(), kind.Error()+": "))
}

// ErrorFromCode returns the error that a code and a text of the other side stand for: a *StoppedError, *DeniedError or
// *AbortedError with the text as its reason, and otherwise a *PeerError that matches the sentinel of the code. An
// unknown code gives a *PeerError that matches nothing; an empty code gives nil. Code and text come from a peer: both
// are cleaned and capped.
//
// Specification: docs/protocol.md, section "Codes".
func ErrorFromCode(code, text string) error {
	code, text = cleanCode(code), cleanText(text)
	if code == "" {
		return nil
	}
	var kind error
	for _, c := range codes() {
		if c.code == code {
			kind = c.kind
		}
	}
	switch {
	case errors.Is(kind, ErrStopped):
		return &StoppedError{Reason: text}
	case errors.Is(kind, ErrDenied):
		return &DeniedError{Reason: text}
	case errors.Is(kind, ErrAborted):
		return &AbortedError{Reason: text}
	}
	return &PeerError{Code: code, Text: text, kind: kind}
}

// cleanText replaces what is not printable and caps the length without cutting a character in two.
func cleanText(text string) string {
	var b strings.Builder
	for _, r := range text {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > maxText {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cleanCode keeps a code that has the form of one and turns everything else into CodeInternal.
func cleanCode(code string) string {
	if len(code) > maxCode {
		return CodeInternal
	}
	for _, c := range []byte(code) {
		if (c < 'a' || c > 'z') && c != '-' {
			return CodeInternal
		}
	}
	return code
}
