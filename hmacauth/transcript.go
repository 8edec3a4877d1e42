package hmacauth

import "github.com/microtrust/microtrust/internal/wire"

// Everything that a code covers is on this page. docs/protocol.md, "Signed messages", is the same in prose.

// Logical names of the endpoints, which enter the codes in place of any URL path.
const (
	// EndpointHello starts a handshake. It is not signed: its bodies enter the key schedule through [HelloHash].
	EndpointHello = "hello"
	// EndpointJoin carries the joiner's proof and its intent. It has a key of its own in each direction.
	EndpointJoin = "join"
	// EndpointResult asks for the outcome.
	EndpointResult = "result"
	// EndpointDone confirms that everything is stored.
	EndpointDone = "done"
	// EndpointAbort withdraws the joiner.
	EndpointAbort = "abort"
)

// Request is what the code of a request covers, besides its direction. It shares Body with the caller and never changes it.
type Request struct {
	// Handshake is the id of the handshake. Keys of another handshake refuse it.
	Handshake [16]byte
	// Sequence is the number of the request within the handshake. Whoever verifies decides which numbers it takes.
	Sequence uint64
	// Endpoint is the logical name: one of the Endpoint constants. The verifying side fills in the endpoint that it serves, never
	// a value that the peer sent.
	Endpoint string
	// Body is the raw body, before anything of it is decoded.
	Body []byte
}

// Reply is what the code of a reply covers, besides its direction and the request that it answers.
type Reply struct {
	// Status is the HTTP status, from 100 to 599.
	Status int
	// Body is the raw body, before anything of it is decoded.
	Body []byte
}

// purposeOf tells which key signs requests to an endpoint and their replies.
func purposeOf(endpoint string) string {
	if endpoint == EndpointJoin {
		return purposeConfirm
	}
	return purposeMessage
}

// requestInput is what HMAC-SHA-256 runs over for a request.
func requestInput(direction string, q Request) []byte {
	return wire.NewFields(labelRequest).
		String(direction).
		Bytes(q.Handshake[:]).
		Uint64(q.Sequence).
		String(q.Endpoint).
		Bytes(q.Body).
		Encoding()
}

// replyInput is what HMAC-SHA-256 runs over for the reply to a request that carried the code of.
func replyInput(direction string, q Request, of MAC, p Reply) []byte {
	return wire.NewFields(labelReply).
		String(direction).
		Bytes(q.Handshake[:]).
		Uint64(q.Sequence).
		String(q.Endpoint).
		Uint64(uint64(p.Status)).
		Bytes(of[:]).
		Bytes(p.Body).
		Encoding()
}
