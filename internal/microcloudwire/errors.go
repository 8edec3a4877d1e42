package microcloudwire

import (
	"errors"
	"fmt"
)

var (
	// ErrMessage is wrapped by every [FieldError], and by the error for what is no message at all.
	ErrMessage = errors.New("malformed message")

	// ErrReply is wrapped by every [ReplyError], and by the error for a reply that is no envelope.
	ErrReply = errors.New("refused by the other side")
)

// FieldError says which field of a message breaks which rule. It wraps [ErrMessage]. It never contains what the peer wrote.
type FieldError struct {
	// Field is the name of the field.
	Field string
	// Rule is what must be so.
	Rule string
}

// Error names field and rule.
func (e *FieldError) Error() string { return fmt.Sprintf("%v: %s: %s", ErrMessage, e.Field, e.Rule) }

// Unwrap returns [ErrMessage].
func (e *FieldError) Unwrap() error { return ErrMessage }

// ReplyError is a reply other than success. It wraps [ErrReply].
type ReplyError struct {
	// Status is that of the HTTP reply.
	Status int
	// Text is what the peer wrote, as it came, at most [MaxText] bytes; compare it with the texts of this package, and quote it
	// for people. It is empty if the reply was no envelope.
	Text string
}

// Error quotes the text.
func (e *ReplyError) Error() string {
	return fmt.Sprintf("%v: status %d: %q", ErrReply, e.Status, e.Text)
}

// Unwrap returns [ErrReply].
func (e *ReplyError) Unwrap() error { return ErrReply }
