package microcloudwire

// stop tells the other side that it is over.
type stop struct {
	Reason string `json:"reason"`
}

// EncodeStop returns the body of a stop. The error is a [*FieldError], for a reason that is not UTF-8.
func EncodeStop(reason string) ([]byte, error) { return encode(stop{reason}) }

// ParseStop reads a stop and returns its reason, which the peer chose and nobody has cleaned. The error is a [*FieldError].
func ParseStop(body []byte) (reason string, err error) {
	members, err := object(body)
	if err != nil {
		return "", err
	}
	return reason, member(members, "reason", &reason)
}
