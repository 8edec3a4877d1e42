package hmacauth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/sethvargo/go-diceware/diceware"
)

// flipped returns b with its last bit changed.
func flipped(b hexBytes) hexBytes {
	c := append(hexBytes{}, b...)
	c[len(c)-1] ^= 1
	return c
}

// encodings that no side may take as a share, from RFC 9496, appendix A.2.
func badShares() map[string]hexBytes {
	bad := map[string]hexBytes{"the identity": make(hexBytes, 32)}
	for name, digits := range map[string]string{
		"not canonical: the prime itself":    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"not canonical: the highest bit set": "00ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"negative":                           "0100000000000000000000000000000000000000000000000000000000000000",
		"no point: not a square":             "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",
	} {
		bad[name], _ = hex.DecodeString(digits)
	}
	return bad
}

// vectorRefused lists what is refused of the exchange e, in which other is a different handshake of the same session's machines.
func vectorRefused(t *testing.T, e, other exchangeVector) []refusedVector {
	t.Helper()
	var list []refusedVector
	add := func(by, class, name string, message int, change changes) {
		list = append(list, refusedVector{Name: name, Class: class, By: by, Exchange: e.Name, Message: message, Change: change})
	}
	stranger := fixedBytes("fingerprint of a machine in the middle", 32)
	const join, result, done = 0, 2, 6
	for _, by := range []string{"initiator", "joiner"} {
		add(by, "mac", "wrong passphrase", join, changes{Passphrase: "abacus abdomen abdominal abides"})
		add(by, "mac", "swapped fingerprints", join, changes{FingerprintInitiator: e.FingerprintJoiner, FingerprintJoiner: e.FingerprintInitiator})
		add(by, "mac", "a machine in the middle with a certificate of its own", join, changes{FingerprintInitiator: stranger})
		add(by, "mac", "a machine in the middle, as the other side sees it", join, changes{FingerprintJoiner: stranger})
		add(by, "same-machine", "equal fingerprints", join, changes{FingerprintJoiner: e.FingerprintInitiator})
		add(by, "mac", "another selector", join, changes{Selector: "0123456789abcdef"})
		add(by, "mac", "another session", join, changes{Session: other.Session})
		add(by, "mac", "another handshake", join, changes{Handshake: other.Handshake})
		add(by, "mac", "another nonce of the joiner", join, changes{NonceJoiner: other.NonceJoiner})
		add(by, "mac", "another nonce of the initiator", join, changes{NonceInitiator: other.NonceInitiator})
		add(by, "mac", "a changed byte in the body of hello", join, changes{HelloRequest: e.HelloRequest + " "})
		add(by, "mac", "a changed byte in the reply to hello", join, changes{HelloReply: " " + e.HelloReply})
		for _, name := range []string{"the identity", "negative", "no point: not a square",
			"not canonical: the highest bit set", "not canonical: the prime itself"} {
			add(by, "share", "a share that is none, "+name, join, changes{Share: badShares()[name]})
		}
		add(by, "mac", "another valid share", join, changes{Share: otherPoint(t, e.Steps.K)})
	}
	add("initiator", "share", "its own share reflected", join, changes{Share: e.Steps.Ya})
	add("joiner", "share", "its own share reflected", join, changes{Share: e.Steps.Yb})
	add("initiator", "mac", "the share of another handshake", join, changes{Share: other.Steps.Yb})
	add("joiner", "mac", "the share of another handshake", join, changes{Share: other.Steps.Ya})

	m, reply := e.Messages, func(i int) changes {
		return changes{ReplyBody: e.Messages[i].ReplyBody, ReplyMAC: e.Messages[i].ReplyMAC}
	}
	add("initiator", "mac", "a changed byte in the intent", join, changes{RequestBody: strings.Replace(joinBody, "micro02", "micro03", 1)})
	add("initiator", "mac", "a changed byte in the MAC", join, changes{RequestMAC: flipped(m[join].RequestMAC)})
	add("initiator", "mac", "another sequence number", result, changes{Sequence: m[result].Sequence + 1})
	add("initiator", "mac", "another endpoint", done, changes{Endpoint: "abort"})
	add("initiator", "mac", "join taken for another endpoint, which has another key", join, changes{Endpoint: "result"})
	add("initiator", "mac", "a message of another handshake, spliced in", result,
		changes{RequestBody: other.Messages[1].RequestBody, RequestMAC: other.Messages[1].RequestMAC})
	add("initiator", "mac", "a reply reflected as a request", done, changes{RequestBody: m[done].ReplyBody, RequestMAC: m[done].ReplyMAC})
	add("joiner", "mac", "a changed byte in the body", result, changes{ReplyBody: m[result].ReplyBody + " "})
	add("joiner", "mac", "a changed byte in the MAC", result, changes{ReplyMAC: flipped(m[result].ReplyMAC)})
	add("joiner", "mac", "another status", result, changes{Status: 202})
	add("joiner", "mac", "the reply to another request", result, reply(3))
	add("joiner", "mac", "the reply to the same request with another MAC", result, changes{RequestMAC: flipped(m[result].RequestMAC)})
	add("joiner", "mac", "a reply of another handshake, spliced in", join,
		changes{ReplyBody: other.Messages[0].ReplyBody, ReplyMAC: other.Messages[0].ReplyMAC})
	add("joiner", "mac", "a request reflected as its reply", result, changes{ReplyBody: m[result].RequestBody, ReplyMAC: m[result].RequestMAC})
	return list
}

func vectorHeaders() []headerVector {
	id, share, mac := strings.Repeat("0a", 16), strings.Repeat("0b", 32), strings.Repeat("0c", 32)
	const authorization, info = "Authorization", "Authentication-Info"
	list := []headerVector{
		{"upper-case digits", "header", authorization, "Microtrust-2 handshake=" + strings.ToUpper(id) + ", sequence=1, mac=" + mac},
		{"lower-case scheme", "header", authorization, "microtrust-2 handshake=" + id + ", sequence=1, mac=" + mac},
		{"scheme of another version", "header", authorization, "Microtrust-3 handshake=" + id + ", sequence=1, mac=" + mac},
		{"a leading zero", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=01, mac=" + mac},
		{"a sign", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=+1, mac=" + mac},
		{"a number of 65 bits", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=18446744073709551616, mac=" + mac},
		{"no number", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=, mac=" + mac},
		{"no space after a comma", "header", authorization, "Microtrust-2 handshake=" + id + ",sequence=1,mac=" + mac},
		{"two spaces", "header", authorization, "Microtrust-2  handshake=" + id + ", sequence=1, mac=" + mac},
		{"a space at the end", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, mac=" + mac + " "},
		{"quotes", "header", authorization, `Microtrust-2 handshake="` + id + `", sequence=1, mac=` + mac},
		{"another order", "header", authorization, "Microtrust-2 sequence=1, handshake=" + id + ", mac=" + mac},
		{"share after mac", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, mac=" + mac + ", share=" + share},
		{"two shares", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, share=" + share + ", share=" + share + ", mac=" + mac},
		{"the identity as share", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, share=" + strings.Repeat("00", 32) + ", mac=" + mac},
		{"a short share", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, share=" + share[2:] + ", mac=" + mac},
		{"a short handshake id", "header", authorization, "Microtrust-2 handshake=" + id[2:] + ", sequence=1, mac=" + mac},
		{"a long MAC", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, mac=" + mac + "00"},
		{"no MAC", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1"},
		{"an unknown parameter", "header", authorization, "Microtrust-2 handshake=" + id + ", sequence=1, x=1, mac=" + mac},
		{"nothing", "header", authorization, ""},
		{"upper-case digits in the answer", "header", info, "mac=" + strings.ToUpper(mac)},
		{"a short MAC in the answer", "header", info, "mac=" + mac[2:]},
		{"a space in the answer", "header", info, "mac= " + mac},
		{"a further parameter in the answer", "header", info, "mac=" + mac + ", rspauth=1"},
		{"no parameter in the answer", "header", info, mac},
	}
	return list
}

// documentFingerprint is the section "Fingerprints" of docs/protocol.md in a straight line.
func documentFingerprint(certificate []byte) fingerprintVector {
	hash := sha256.Sum256(certificate)
	digits := hex.EncodeToString(hash[:])
	v := fingerprintVector{Certificate: certificate, Full: hash[:]}
	for i := 0; i < 64; i += 4 {
		v.Grouped += "-" + digits[i:i+4]
	}
	v.Grouped, v.Short = v.Grouped[1:], v.Grouped[1:25]
	var words []string
	for n, i := new(big.Int).SetBytes(hash[:]), 0; i < 7; i++ {
		digit := new(big.Int)
		n.DivMod(n, big.NewInt(7776), digit)
		d := int(digit.Int64())
		dice := fmt.Sprintf("%d%d%d%d%d", d/1296+1, d/216%6+1, d/36%6+1, d/6%6+1, d%6+1)
		var number int
		fmt.Sscan(dice, &number)
		words = append([]string{diceware.WordListEffLarge().WordAt(number)}, words...)
	}
	v.Words = strings.Join(words, " ")

	var visits [9][17]int
	column, row := 8, 4
	for _, octet := range hash {
		for pair := range 4 {
			bits := octet >> (2 * pair)
			if bits&1 == 0 {
				column = max(column-1, 0)
			} else {
				column = min(column+1, 16)
			}
			if bits&2 == 0 {
				row = max(row-1, 0)
			} else {
				row = min(row+1, 8)
			}
			visits[row][column]++
		}
	}
	v.Picture = append(v.Picture, "+--[microtrust]---+")
	for y := range visits {
		line := "|"
		for x, n := range visits[y] {
			switch {
			case x == column && y == row:
				line += "E"
			case x == 8 && y == 4:
				line += "S"
			default:
				line += string(" .o+=*BOX@%&#/^"[min(n, 14)])
			}
		}
		v.Picture = append(v.Picture, line+"|")
	}
	v.Picture = append(v.Picture, "+----[SHA256]-----+")
	return v
}
