package hmacauth_test

import (
	"fmt"
	"strings"

	"github.com/microtrust/microtrust/hmacauth"
)

// Both sides of one handshake, without the network between them.
func Example() {
	passphrase, err := hmacauth.ParsePassphrase("abacus abdomen drop-down abide")
	if err != nil {
		fmt.Println(err)
		return
	}
	handshake := hmacauth.Handshake{
		Initiator: [32]byte{1}, Joiner: [32]byte{2}, // SHA-256 of the certificates that TLS showed
		Session: [16]byte{3}, ID: [16]byte{4}, // chosen by the initiator
		NonceJoiner: [16]byte{5}, NonceInitiator: [16]byte{6}, // random
	}
	initiator, ya, err := hmacauth.NewInitiator(passphrase.Secret(), handshake, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	hello := hmacauth.HelloHash([]byte("the joiner's hello"), []byte("the reply, with ya in it"))
	yb, joinerKeys, err := hmacauth.Respond(passphrase.Secret(), handshake, ya, hello, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	request := hmacauth.Request{Handshake: handshake.ID, Endpoint: hmacauth.EndpointJoin, Body: []byte("yb and the intent")}
	mac := joinerKeys.SignRequest(request)

	initiatorKeys, err := initiator.Finish(yb, hello)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("joiner proved:", initiatorKeys.VerifyRequest(request, mac) == nil)
	reply := hmacauth.Reply{Status: 200, Body: []byte("waiting for approval")}
	answer := initiatorKeys.SignReply(request, mac, reply)
	fmt.Println("initiator proved:", joinerKeys.VerifyReply(request, mac, reply, answer) == nil)
	// Output:
	// joiner proved: true
	// initiator proved: true
}

func ExampleNewInitiator() {
	passphrase, _ := hmacauth.GeneratePassphrase(0)
	handshake := hmacauth.Handshake{Initiator: [32]byte{1}, Joiner: [32]byte{1}}
	_, _, err := hmacauth.NewInitiator(passphrase.Secret(), handshake, nil)
	fmt.Println(err)
	// Output: hmacauth: both sides have the same fingerprint
}

func ExampleRespond() {
	passphrase, _ := hmacauth.GeneratePassphrase(0)
	handshake := hmacauth.Handshake{Initiator: [32]byte{1}, Joiner: [32]byte{2}}
	var identity hmacauth.Share // would make the keys independent of the passphrase
	_, _, err := hmacauth.Respond(passphrase.Secret(), handshake, identity, [32]byte{}, nil)
	fmt.Println(err)
	// Output: hmacauth: share refused
}

func ExampleGeneratePassphrase() {
	passphrase, err := hmacauth.GeneratePassphrase(4)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(strings.Fields(passphrase.Reveal())), "words,", int(passphrase.Bits()), "bits")
	fmt.Println(passphrase)
	// Output:
	// 4 words, 51 bits
	// [redacted]
}

func ExampleParsePassphrase() {
	passphrase, err := hmacauth.ParsePassphrase("  Abacus ABDOMEN\tdrop-down   abide\n")
	fmt.Println(passphrase.Reveal(), passphrase.Generated(), err)
	_, err = hmacauth.ParsePassphrase("short")
	fmt.Println(err)
	// Output:
	// abacus abdomen drop-down abide false <nil>
	// passphrase refused: it has fewer than 8 characters
}

func ExampleCheckWord() {
	for _, word := range []string{"Abacus", "abacsu", "zig", "xylophone"} {
		known, suggestion := hmacauth.CheckWord(word)
		fmt.Printf("%s: %t %q\n", word, known, suggestion)
	}
	// Output:
	// Abacus: true ""
	// abacsu: false "abacus"
	// zig: false "zigzagged"
	// xylophone: false ""
}

func ExampleRandomSecret() {
	unknown, err := hmacauth.RandomSecret(nil)
	fmt.Println(unknown, unknown.IsZero(), err)
	// Output: [redacted] false <nil>
}

func ExampleFormatAuthorization() {
	fmt.Println(hmacauth.FormatAuthorization(hmacauth.Credentials{Handshake: [16]byte{0xab}, Sequence: 1, MAC: hmacauth.MAC{0xcd}}))
	// Output: Microtrust-2 handshake=ab000000000000000000000000000000, sequence=1, mac=cd00000000000000000000000000000000000000000000000000000000000000
}

func ExampleParseAuthorization() {
	_, err := hmacauth.ParseAuthorization("Microtrust-2 handshake=AB000000000000000000000000000000, sequence=01, mac=CD")
	fmt.Println(err)
	// Output: hmacauth: malformed header
}

func ExampleFormatAuthenticationInfo() {
	fmt.Println(hmacauth.FormatAuthenticationInfo(hmacauth.MAC{0xcd}))
	// Output: mac=cd00000000000000000000000000000000000000000000000000000000000000
}

func ExampleParseAuthenticationInfo() {
	mac, err := hmacauth.ParseAuthenticationInfo("mac=cd00000000000000000000000000000000000000000000000000000000000000")
	fmt.Println(mac.Equal(hmacauth.MAC{0xcd}), err)
	// Output: true <nil>
}
