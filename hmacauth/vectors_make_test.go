package hmacauth_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/bwesterb/go-ristretto"
	"github.com/stretchr/testify/require"
)

// What stands in the vectors: everything here is chosen, everything else follows.

const (
	vectorAddress = "192.0.2.2:9443"
	joinBody      = `{"name":"micro02","addresses":["192.0.2.2:9443"],"services":{"cluster":"6.1"},"attributes":{}}`
)

func vectorPassphrases() []passphraseVector {
	return []passphraseVector{
		{About: "as generated", Typed: "abacus abdomen abdominal abide", Normalised: "abacus abdomen abdominal abide"},
		{About: "case and white space do not matter", Typed: " \tAbacus  ABDOMEN\n abdominal\u00a0Abide\u3000", Normalised: "abacus abdomen abdominal abide"},
		{About: "full-width letters", Typed: "ａｂａｃｕｓ abdomen ABDOMINAL abide", Normalised: "abacus abdomen abdominal abide"},
		{About: "hyphens stay", Typed: "Yo-Yo t-shirt drop-down felt-tip", Normalised: "yo-yo t-shirt drop-down felt-tip"},
		{About: "composed and decomposed letters are the same", Typed: "Cafe\u0301 im Gru\u0308nen", Normalised: "caf\u00e9 im gr\u00fcnen"},
		{About: "simple lower case: the dotted capital I loses its dot", Typed: "\u0130stanbul nights", Normalised: "istanbul nights"},
		{About: "ligatures come apart", Typed: "o\ufb03ce and \ufb01re", Normalised: "office and fire"},
		{About: "a capital sharp s becomes a small one, which is not two", Typed: "Gro\u1e9ee Stra\u00dfe", Normalised: "gro\u00dfe stra\u00dfe"},
		{About: "empty", Typed: "", Class: "passphrase"},
		{About: "only white space", Typed: " \t\n ", Class: "passphrase"},
		{About: "seven characters", Typed: "  abacus1  ", Class: "passphrase"},
		{About: "seven characters, though more bytes", Typed: "äöüäöüä", Class: "passphrase"},
		{About: "a control character", Typed: "abacus\u0007 abdomen", Class: "passphrase"},
		{About: "a format character", Typed: "abacus\u200b abdomen", Class: "passphrase"},
		{About: "a code point for private use", Typed: "abacus\ue000 abdomen", Class: "passphrase"},
		{About: "257 bytes", Typed: fmt.Sprintf("%0257d", 1), Class: "passphrase"},
		{About: "longer than 256 bytes only when normalised", Typed: fmt.Sprintf("%0240d", 1) + "\ufdfa", Class: "passphrase"},
	}
}

// exchangePlan is an exchange without what follows from it.
type exchangePlan struct {
	name, about string
	typed       int // index into vectorPassphrases: how the joiner's person typed it
	helloExtra  string
	messages    []messageVector
}

func vectorPlans(t *testing.T, first, second vectorMachine) []exchangePlan {
	t.Helper()
	genesis := first.genesis()
	cluster := genesis.id
	admit := first.admit(cluster, second, second.offer(vectorAddress, "cluster", "6.1"))
	set := sortedSet([]vectorStatement{genesis, first.profile(cluster, genesis.id, "192.0.2.1:9443"), admit})
	digest := setDigest(cluster, set)
	own := second.profile(cluster, admit.id, vectorAddress)
	page := func(n int, statements ...vectorStatement) string {
		body := fmt.Sprintf(`{"state":"approved","cluster":"%x","digest":"%x","page":%d,"pages":2,"statements":[`, cluster, digest, n)
		for i, s := range statements {
			if i > 0 {
				body += ","
			}
			body += `"` + base64.StdEncoding.EncodeToString(s.encoded) + `"`
		}
		return body + "]}"
	}
	join := messageVector{Endpoint: "join", RequestBody: joinBody,
		ReplyBody: fmt.Sprintf(`{"state":"pending","name":"micro01","cluster":"%x","expires":540}`, cluster)}
	pending := messageVector{Endpoint: "result", RequestBody: `{"page":0}`, ReplyBody: `{"state":"pending","page":0,"pages":0}`}
	return []exchangePlan{
		{"approved", "a whole join: the answer to join is lost and asked for again, a poll runs out, the set comes in two pages", 0, "", []messageVector{
			join, {Endpoint: "join", Repetition: true}, pending,
			{Endpoint: "result", RequestBody: `{"page":0}`, ReplyBody: page(0, set[:2]...)},
			{Endpoint: "result", Repetition: true},
			{Endpoint: "result", RequestBody: `{"page":1}`, ReplyBody: page(1, set[2:]...)},
			{Endpoint: "done", RequestBody: fmt.Sprintf(`{"digest":"%x","profile":"%s"}`, digest, base64.StdEncoding.EncodeToString(own.encoded)),
				ReplyBody: `{"state":"joined"}`},
		}},
		{"denied", "the passphrase was typed in another spelling; a person denies the offer", 1, "", []messageVector{
			join, pending,
			{Endpoint: "result", RequestBody: `{"page":0}`, ReplyBody: `{"state":"refused","code":"denied","reason":"not one of ours","page":0,"pages":0}`},
		}},
		{"ended", "bodies with white space, another order, an escape and an extension; the session is stopped", 2, ` , "ext" : {"trace":["é",1]}`, []messageVector{
			{Endpoint: "join", RequestBody: "{ \"services\": {\"cluster\": \"6.1\"},\n  \"name\": \"micro\\u003002\", \"ext\": true }\n",
				ReplyBody: join.ReplyBody},
			{Endpoint: "result", RequestBody: `{}`, ReplyBody: `{"state":"ended","code":"stopped","reason":"enough for today"}`},
		}},
		{"aborted", "the initiator's fingerprint was not confirmed at the joiner", 0, "", []messageVector{
			join, pending,
			{Endpoint: "abort", RequestBody: `{"reason":"the fingerprint was not confirmed on the joining side"}`,
				ReplyBody: `{"state":"refused","code":"aborted","reason":"the fingerprint was not confirmed on the joining side"}`},
		}},
	}
}

func makeExchange(t *testing.T, plan exchangePlan, first, second vectorMachine) exchangeVector {
	t.Helper()
	fixed := func(what string, n int) hexBytes { return fixedBytes(plan.name+" "+what, n) }
	typed := vectorPassphrases()
	e := exchangeVector{
		Name: plan.name, About: plan.about,
		PassphraseInitiator: typed[0].Typed, PassphraseJoiner: typed[plan.typed].Typed,
		CertificateInitiator: first.cert.Raw, CertificateJoiner: second.cert.Raw,
		Session: fixed("session", 16), Handshake: fixed("handshake", 16),
		NonceJoiner: fixed("nonce of the joiner", 16), NonceInitiator: fixed("nonce of the initiator", 16),
	}
	e.Steps.UniformInitiator, e.Steps.UniformJoiner = fixed("scalar of the initiator", 64), fixed("scalar of the joiner", 64)
	e.HelloRequest = fmt.Sprintf(`{"protocol":"microtrust/2","nonce":"%x","selector":""%s}`, []byte(e.NonceJoiner), plan.helloExtra)
	normal := typed[plan.typed].Normalised
	ya := hex.EncodeToString(documentExchange(t, e, normal).Steps.Ya)
	e.HelloReply = fmt.Sprintf(`{"handshake":"%x","session":"%x","nonce":"%x","share":"%s"}`,
		[]byte(e.Handshake), []byte(e.Session), []byte(e.NonceInitiator), ya)
	var sequence uint64
	for _, m := range plan.messages {
		if m.Repetition {
			m = e.Messages[len(e.Messages)-1]
			m.Repetition = true
		} else {
			sequence++
			m.Sequence, m.Status = sequence, 200
		}
		e.Messages = append(e.Messages, m)
	}
	return documentExchange(t, e, normal)
}

func makeVectors(t *testing.T) vectorFile {
	t.Helper()
	first, second := newVectorMachine(t, "micro01"), newVectorMachine(t, "micro02")
	file := vectorFile{Protocol: "microtrust/2", Passphrases: vectorPassphrases(), Headers: vectorHeaders()}
	for _, plan := range vectorPlans(t, first, second) {
		file.Exchanges = append(file.Exchanges, makeExchange(t, plan, first, second))
	}
	for _, machine := range []vectorMachine{first, second} {
		file.Fingerprint = append(file.Fingerprint, documentFingerprint(machine.cert.Raw))
	}
	file.Refused = vectorRefused(t, file.Exchanges[0], file.Exchanges[1])
	return file
}

// otherPoint returns the encoding of minus the point: another valid share.
func otherPoint(t *testing.T, share hexBytes) hexBytes {
	t.Helper()
	var p, q ristretto.Point
	require.True(t, p.SetBytes((*[32]byte)(share)))
	return q.Neg(&p).Bytes()
}
