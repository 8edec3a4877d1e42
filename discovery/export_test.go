package discovery

// ID, ParseQuestion and the others are the datagrams for tests.
type ID = queryID

func ParseQuestion(data []byte) (ID, error) { return parseQuestion(data) }
func ParseLegacyQuestion(data []byte) error { return parseLegacyQuestion(data) }
func EncodeQuestion(id ID) ([]byte, error)  { return encodeQuestion(id) }
func EncodeLegacyQuestion() ([]byte, error) { return encodeLegacyQuestion() }

// ParseAnswer returns name and addresses.
func ParseAnswer(data []byte) (ID, string, []string, error) {
	id, o, err := parseAnswer(data)
	return id, o.name, o.addresses, err
}

// ParseLegacyAnswer returns name and addresses.
func ParseLegacyAnswer(data []byte) (string, []string, error) {
	o, err := parseLegacyAnswer(data)
	return o.name, o.addresses, err
}

func EncodeAnswer(id ID, name string, addresses []string) ([]byte, error) {
	return encodeAnswer(id, offer{name, addresses})
}

func EncodeLegacyAnswer(name string, addresses []string) ([]byte, error) {
	return encodeLegacyAnswer(offer{name, addresses})
}

var (
	ErrMalformed = errMalformed
	ErrVersion   = errVersion
)

// Group4, Group6 and GroupLegacy are where to ask.
func Group4() string      { return group4().address.String() }
func Group6() string      { return group6().address.String() }
func GroupLegacy() string { return groupLegacy().address.String() }

// Recent is what an announcer remembers.
type Recent = recent[int]

func (r *recent[K]) Again(key K) bool { return r.again(key) }
func (r *recent[K]) Len() int         { return len(r.known) }

// Host is how a source is counted.
var Host = host
