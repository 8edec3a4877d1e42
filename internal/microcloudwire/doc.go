// Package microcloudwire has the messages of the wire format MicroCloud-1.0: the intent, the stop, and the envelope of replies. It
// reads and writes bytes and knows neither network nor trust: what comes from a peer is bounded by the caller, and nothing of it
// may be read here before its code was verified (package hmacauth/microcloud).
//
// It writes exactly what peers write, and reads what they may send: an intent may have members that are not known here, in any
// order, but none twice, and each that is known must be there and fit.
//
// Functions are pure and safe for concurrent use. See docs/microcloud.md, "Messages".
package microcloudwire
