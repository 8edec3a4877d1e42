package hmacauth_test

import (
	"bytes"
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
)

// orBase returns the changed value, or the exchange's where nothing was changed.
func orBase(change, base hexBytes) hexBytes {
	if change == nil {
		return base
	}
	return change
}

// view is one message of an exchange as one side sees it.
type view struct {
	secret     string
	handshake  hmacauth.Handshake
	hello      [32]byte
	share      hmacauth.Share
	request    hmacauth.Request
	requestMAC hmacauth.MAC
	reply      hmacauth.Reply
	replyMAC   hmacauth.MAC
}

// seenBy returns the view of the side by of the i-th message, with what is changed in it.
func seenBy(by string, e exchangeVector, i int, c changes) view {
	m := e.Messages[i]
	v := view{
		secret: cmp.Or(c.Passphrase, e.PassphraseInitiator),
		handshake: hmacauth.Handshake{
			Initiator: orBase(c.FingerprintInitiator, e.FingerprintInitiator).hash(),
			Joiner:    orBase(c.FingerprintJoiner, e.FingerprintJoiner).hash(),
			Session:   orBase(c.Session, e.Session).id(), ID: orBase(c.Handshake, e.Handshake).id(),
			NonceJoiner:    orBase(c.NonceJoiner, e.NonceJoiner).id(),
			NonceInitiator: orBase(c.NonceInitiator, e.NonceInitiator).id(),
			Selector:       cmp.Or(c.Selector, e.Selector),
		},
		hello: hmacauth.HelloHash([]byte(cmp.Or(c.HelloRequest, e.HelloRequest)), []byte(cmp.Or(c.HelloReply, e.HelloReply))),
		share: hmacauth.Share(orBase(c.Share, e.Steps.Yb).hash()),
		request: hmacauth.Request{
			Handshake: e.Handshake.id(),
			Sequence:  cmp.Or(c.Sequence, m.Sequence), Endpoint: cmp.Or(c.Endpoint, m.Endpoint),
			Body: []byte(cmp.Or(c.RequestBody, m.RequestBody)),
		},
		requestMAC: hmacauth.MAC(orBase(c.RequestMAC, m.RequestMAC).hash()),
		reply:      hmacauth.Reply{Status: cmp.Or(c.Status, m.Status), Body: []byte(cmp.Or(c.ReplyBody, m.ReplyBody))},
		replyMAC:   hmacauth.MAC(orBase(c.ReplyMAC, m.ReplyMAC).hash()),
	}
	if by == "joiner" {
		v.secret = cmp.Or(c.Passphrase, e.PassphraseJoiner)
		v.share = hmacauth.Share(orBase(c.Share, e.Steps.Ya).hash())
	}
	return v
}

// verify does what the side does with the message, with the randomness of the exchange.
func (v view) verify(t *testing.T, by string, e exchangeVector) error {
	t.Helper()
	if by == "initiator" {
		state, _, err := hmacauth.NewInitiator(secret(t, v.secret), v.handshake, bytes.NewReader(e.Steps.UniformInitiator))
		if err != nil {
			return err
		}
		keys, err := state.Finish(v.share, v.hello)
		if err != nil {
			return err
		}
		return keys.VerifyRequest(v.request, v.requestMAC)
	}
	require.Equal(t, "joiner", by)
	_, keys, err := hmacauth.Respond(secret(t, v.secret), v.handshake, v.share, v.hello, bytes.NewReader(e.Steps.UniformJoiner))
	if err != nil {
		return err
	}
	return keys.VerifyReply(v.request, v.requestMAC, v.reply, v.replyMAC)
}

// checkRefused makes sure that the message is taken as it stands in the exchange, and refused as the vector changes it.
func checkRefused(t *testing.T, e exchangeVector, v refusedVector, classes map[string]int) {
	classErrors := map[string]error{"mac": hmacauth.ErrMAC, "share": hmacauth.ErrShare, "same-machine": hmacauth.ErrSameMachine}
	want, known := classErrors[v.Class]
	require.True(t, known, v.Class)
	untouched, changed := seenBy(v.By, e, v.Message, changes{}), seenBy(v.By, e, v.Message, v.Change)
	require.NotEqual(t, untouched, changed, "nothing is changed")
	require.NoError(t, untouched.verify(t, v.By, e))
	require.ErrorIs(t, changed.verify(t, v.By, e), want)
	classes[v.Class]++
}
