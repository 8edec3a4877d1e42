package trust

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/session"
)

// The bodies of the protocol's messages (docs/protocol.md, section "Messages"). Every body is one JSON object that is
// decoded strictly; "ext" is the one member reserved for extension, and its content is ignored here.

type helloRequest struct {
	Protocol string          `json:"protocol"`
	Nonce    string          `json:"nonce"`
	Selector string          `json:"selector"`
	Ext      json.RawMessage `json:"ext,omitempty"`
}

type helloReply struct {
	Handshake string          `json:"handshake"`
	Session   string          `json:"session"`
	Nonce     string          `json:"nonce"`
	Share     string          `json:"share"`
	Ext       json.RawMessage `json:"ext,omitempty"`
}

type joinRequest struct {
	Name       string            `json:"name"`
	Addresses  []string          `json:"addresses"`
	Services   map[string]string `json:"services"`
	Attributes map[string]string `json:"attributes"`
	Ext        json.RawMessage   `json:"ext,omitempty"`
}

type joinReply struct {
	outcome
	Name    string          `json:"name"`
	Cluster string          `json:"cluster"`
	Expires int             `json:"expires"` // seconds until the session ends
	Ext     json.RawMessage `json:"ext,omitempty"`
}

type resultRequest struct {
	Page int             `json:"page"`
	Ext  json.RawMessage `json:"ext,omitempty"`
}

type resultReply struct {
	outcome
	Cluster    string          `json:"cluster,omitempty"`
	Digest     string          `json:"digest,omitempty"`
	Page       int             `json:"page"`
	Pages      int             `json:"pages"`
	Statements [][]byte        `json:"statements,omitempty"`
	Ext        json.RawMessage `json:"ext,omitempty"`
}

type doneRequest struct {
	Digest  string          `json:"digest"`
	Profile []byte          `json:"profile"`
	Ext     json.RawMessage `json:"ext,omitempty"`
}

type abortRequest struct {
	Reason string          `json:"reason"`
	Ext    json.RawMessage `json:"ext,omitempty"`
}

type stateReply struct {
	outcome
	Ext json.RawMessage `json:"ext,omitempty"`
}

// outcome is where a joiner stands, as every signed reply tells it. Code and Reason are set for the states that end the
// join: the code is for programs, the reason for people.
type outcome struct {
	State  string `json:"state"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// The states of an outcome.
const (
	statePending  = "pending"
	stateApproved = "approved"
	stateJoined   = "joined"
	stateRefused  = "refused" // this joiner: denied, failed, or not fit for the session
	stateEnded    = "ended"   // the session
)

func (r joinRequest) intent() session.Intent {
	return session.Intent{Name: r.Name, Addresses: r.Addresses, Services: r.Services, Attributes: r.Attributes}
}

func joinRequestOf(in session.Intent) joinRequest {
	r := joinRequest{Name: in.Name, Addresses: in.Addresses, Services: in.Services, Attributes: in.Attributes}
	// Absent and empty are the same intent, so they have the same encoding.
	if r.Addresses == nil {
		r.Addresses = []string{}
	}
	if r.Services == nil {
		r.Services = map[string]string{}
	}
	if r.Attributes == nil {
		r.Attributes = map[string]string{}
	}
	return r
}

// err returns nil if the state is one of those that answer the request, the error that an ending state stands for, and
// ErrReply for everything else: a state that this endpoint does not know, or an end without its code.
func (o outcome) err(answers ...string) error {
	if slices.Contains(answers, o.State) {
		return nil
	}
	if (o.State == stateRefused || o.State == stateEnded) && o.Code != "" {
		return session.ErrorFromCode(o.Code, o.Reason)
	}
	return fmt.Errorf("%w: state %q with code %q", ErrReply, clip(o.State), clip(o.Code))
}

// readHex fills into from lower-case hexadecimal of exactly that length.
func readHex(into []byte, field, text string) error {
	if wire.DecodeHex(into, text) != nil {
		return fmt.Errorf("%w: %s: want %d lower-case hexadecimal digits", errMeaning, field, hex.EncodedLen(len(into)))
	}
	return nil
}
