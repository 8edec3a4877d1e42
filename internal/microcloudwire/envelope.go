package microcloudwire

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Texts of replies, by which peers tell them apart. That for a wrong passphrase is microcloud.TextMAC.
const (
	TextNoSession = "No active session"
	TextDuplicate = "Failed to register join intent: Fingerprint already exists"
)

// MaxText is how much of a text that a peer sent is kept, in bytes.
const MaxText = 256

// TextServiceVersion is the text for a joiner that has a service in another version than this side.
func TextServiceVersion(name, service, want, detected string) string {
	return fmt.Sprintf("Rejecting peer %q due to invalid %s version. (Want: %q, Detected: %q)", name, service, want, detected)
}

// TextServiceMissing is the text for a joiner that lacks services which this side has.
func TextServiceMissing(name string, services ...string) string {
	return fmt.Sprintf("Rejecting peer %q due to missing services (%s)", name, strings.Join(services, ", "))
}

// envelope is every reply, with its fields in the order in which peers write them.
type envelope struct {
	Type       string `json:"type"`
	Status     string `json:"status"`
	StatusCode int    `json:"status_code"`
	Operation  string `json:"operation"`
	ErrorCode  int    `json:"error_code"`
	Error      string `json:"error"`
	Metadata   any    `json:"metadata"`
}

// named is the metadata of the reply to a request for the name.
type named struct {
	Name string `json:"name"`
}

// Success returns the body of the reply that all is well, whose HTTP status is 200.
func Success() []byte { return success(struct{}{}) }

// SuccessName is Success with the name of this machine.
func SuccessName(name string) []byte { return success(named{name}) }

func success(metadata any) []byte {
	return marshal(envelope{Type: "sync", Status: "Success", StatusCode: 200, Metadata: metadata})
}

// Failure returns the body of a reply with that HTTP status.
func Failure(status int, text string) []byte {
	return marshal(envelope{Type: "error", ErrorCode: status, Error: text})
}

func marshal(e envelope) []byte {
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers, of which json.Marshal refuses none
	}
	return body
}

// ParseReply reads a reply: nil for success, a [*ReplyError] for a refusal. What is no envelope wraps [ErrReply] too.
func ParseReply(status int, body []byte) error {
	_, err := parseReply(status, body)
	return err
}

// ParseNameReply is ParseReply for a request for the name, and returns it. Nobody has signed it.
func ParseNameReply(status int, body []byte) (string, error) {
	metadata, err := parseReply(status, body)
	if err != nil {
		return "", err
	}
	var named named
	if json.Unmarshal(metadata, &named) != nil || named.Name == "" {
		return "", fmt.Errorf("%w: the reply has no metadata.name", ErrReply)
	}
	return named.Name, nil
}

func parseReply(status int, body []byte) (metadata json.RawMessage, err error) {
	var reply struct {
		Type     string          `json:"type"`
		Error    string          `json:"error"`
		Metadata json.RawMessage `json:"metadata"`
	}
	wellFormed := len(body) <= MaxBody && json.Unmarshal(body, &reply) == nil
	switch {
	case wellFormed && status == 200 && reply.Type == "sync":
		return reply.Metadata, nil
	case wellFormed && reply.Type == "error":
		return nil, &ReplyError{Status: status, Text: reply.Error[:min(len(reply.Error), MaxText)]}
	}
	return nil, &ReplyError{Status: status}
}
