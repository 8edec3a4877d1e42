package discovery

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

const (
	// Protocol is the join protocol of the machines that answer; see docs/protocol.md.
	Protocol = "microtrust/2"
	// MaxDatagram bounds a datagram in bytes, in both formats. A question has exactly that many, so that no answer is larger.
	MaxDatagram = 500
	// MaxAddresses bounds the addresses of one answer.
	MaxAddresses = 8

	version = 1 // of the datagrams; parsers compare its text
)

// queryID ties an answer to its question.
type queryID [16]byte

func newQueryID() (id queryID) {
	rand.Read(id[:]) // never fails
	return id
}

// question is docs/discovery.md, section "Question".
type question struct {
	Discovery int    `json:"discovery"`
	Protocol  string `json:"protocol"`
	Query     string `json:"query"`
}

// answer is docs/discovery.md, section "Answer".
type answer struct {
	Discovery int      `json:"discovery"`
	Protocol  string   `json:"protocol"`
	Query     string   `json:"query"`
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

// offer is what an answer of either format says.
type offer struct {
	name      string
	addresses []string
}

// encodeQuestion returns a question, filled up with spaces.
func encodeQuestion(id queryID) ([]byte, error) {
	text, err := wire.EncodeJSON(question{version, Protocol, hex.EncodeToString(id[:])})
	if err != nil {
		return nil, err
	}
	return append(text, bytes.Repeat([]byte(" "), MaxDatagram-len(text))...), nil
}

// parseQuestion returns the id of a question. Its errors wrap errMalformed or errVersion.
func parseQuestion(data []byte) (id queryID, err error) {
	var q question
	if err := decode(data, &q, "discovery", strconv.Itoa(version)); err != nil {
		return id, err
	}
	if len(data) != MaxDatagram {
		return id, fmt.Errorf("%w: a question has %d bytes", errMalformed, MaxDatagram)
	}
	if q.Protocol != Protocol {
		return id, errVersion
	}
	return id, decodeQuery(&id, q.Query)
}

// encodeAnswer returns the answer to a question.
func encodeAnswer(id queryID, o offer) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	text, err := wire.EncodeJSON(answer{version, Protocol, hex.EncodeToString(id[:]), o.name, o.addresses})
	if err != nil {
		return nil, err
	}
	if len(text) > MaxDatagram {
		return nil, fmt.Errorf("name and addresses make an answer of %d bytes, more than %d", len(text), MaxDatagram)
	}
	return text, nil
}

// parseAnswer returns what an answer says and to which question. Its errors wrap errMalformed or errVersion.
func parseAnswer(data []byte) (id queryID, o offer, err error) {
	var a answer
	if err := decode(data, &a, "discovery", strconv.Itoa(version)); err != nil {
		return id, offer{}, err
	}
	if a.Protocol != Protocol {
		return id, offer{}, errVersion
	}
	if err := decodeQuery(&id, a.Query); err != nil {
		return id, offer{}, err
	}
	o = offer{a.Name, a.Addresses}
	if err := o.check(); err != nil {
		return id, offer{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	return id, o, nil
}

// decode reads a datagram into v. The member called name has to have the given JSON text, and is looked at before all others, so
// that a later version may change everything else.
func decode(data []byte, v any, name, text string) error {
	if len(data) > MaxDatagram {
		return fmt.Errorf("%w: longer than %d bytes", errMalformed, MaxDatagram)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return fmt.Errorf("%w: not an object", errMalformed)
	}
	switch string(members[name]) {
	case text:
	case "":
		return fmt.Errorf("%w: without %s", errMalformed, name)
	default:
		return errVersion
	}
	if err := wire.DecodeJSON(data, v); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

func decodeQuery(id *queryID, text string) error {
	if err := wire.DecodeHex(id[:], text); err != nil {
		return fmt.Errorf("%w: query: %w", errMalformed, err)
	}
	return nil
}

// check returns what of the offer may not be sent, nor shown to anybody.
func (o offer) check() error {
	if err := certstore.CheckName(o.name); err != nil {
		return err
	}
	if len(o.addresses) == 0 || len(o.addresses) > MaxAddresses {
		return fmt.Errorf("%d addresses, must be 1 to %d", len(o.addresses), MaxAddresses)
	}
	for i, addr := range o.addresses {
		if err := certstore.CheckAddress(addr); err != nil {
			return err
		}
		if slices.Contains(o.addresses[:i], addr) {
			return errors.New("an address stands twice")
		}
	}
	return nil
}
