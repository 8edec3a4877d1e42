package etcdstore

// RoundTrip decodes a value, any hash allowed, and encodes it again.
func RoundTrip(data []byte) ([]byte, error) {
	v, err := decodeValue(data, "")
	if err != nil {
		return nil, err
	}
	return encodeValue(*v)
}
