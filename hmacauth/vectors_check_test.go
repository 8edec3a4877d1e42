package hmacauth_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/cpace"
)

// updateVariable is set to write testdata/vectors/join.json anew instead of comparing it with what would be written.
const updateVariable = "MICROTRUST_UPDATE_VECTORS"

// TestJoinVectors: the vectors are what their generator makes, and production code comes to every value in them.
func TestJoinVectors(t *testing.T) {
	made := makeVectors(t).encode(t)
	if os.Getenv(updateVariable) != "" {
		require.NoError(t, os.WriteFile(vectorPath(), made, 0o644))
	}
	raw, err := os.ReadFile(vectorPath())
	require.NoError(t, err)
	require.True(t, bytes.Equal(made, raw), "the file is not what the generator makes; set %s to write it anew", updateVariable)

	file := loadVectors(t)
	require.Equal(t, hmacauth.Protocol, file.Protocol)
	classes := map[string]int{}
	t.Run("passphrases", func(t *testing.T) { checkPassphrases(t, file, classes) })
	for _, e := range file.Exchanges {
		t.Run(e.Name, func(t *testing.T) { checkExchange(t, e, classes) })
	}
	for _, v := range file.Refused {
		t.Run(v.By+" refuses "+v.Name, func(t *testing.T) { checkRefused(t, file.exchange(t, v.Exchange), v, classes) })
	}
	for _, v := range file.Headers {
		t.Run(v.Name, func(t *testing.T) { checkHeader(t, v, classes) })
	}
	for class, least := range map[string]int{
		"valid": 4, "message": 15, "mac": 40, "share": 12, "same-machine": 2, "header": 26, "normalised": 8, "passphrase": 9,
	} {
		require.GreaterOrEqual(t, classes[class], least, class)
	}
	t.Logf("checked %v", classes)
}

func checkPassphrases(t *testing.T, file vectorFile, classes map[string]int) {
	for _, v := range file.Passphrases {
		p, err := hmacauth.ParsePassphrase(v.Typed)
		if v.Class == "" {
			require.NoError(t, err, v.About)
			require.Equal(t, v.Normalised, p.Reveal(), v.About)
			classes["normalised"]++
			continue
		}
		require.Equal(t, "passphrase", v.Class)
		require.ErrorIs(t, err, hmacauth.ErrPassphrase, v.About)
		classes[v.Class]++
	}
}

// checkExchange recomputes an exchange with the code of the package, on both sides.
func checkExchange(t *testing.T, e exchangeVector, classes map[string]int) {
	h, s := e.public(), e.Steps
	require.Equal(t, []byte(s.PRS), secret(t, e.PassphraseInitiator).PRS())
	require.Equal(t, []byte(s.PRS), secret(t, e.PassphraseJoiner).PRS())
	require.Equal(t, []byte(s.CI), hmacauth.ChannelID(h))
	require.Equal(t, []byte(s.SID), hmacauth.SessionID(h))
	require.Equal(t, []byte(s.ADa), hmacauth.AssociatedData(hmacauth.RoleInitiator, h))
	require.Equal(t, []byte(s.ADb), hmacauth.AssociatedData(hmacauth.RoleJoiner, h))
	require.Equal(t, s.HelloHash.hash(), e.hello())
	checkISK(t, s)
	require.Len(t, e.Keys, 4)
	for _, k := range e.Keys {
		require.Equal(t, []byte(k.Info), hmacauth.KeyInfo(h, e.hello(), k.Purpose, k.Direction))
		key, err := hmacauth.DeriveKey(s.ISK, k.Info)
		require.NoError(t, err)
		require.Equal(t, []byte(k.Key), key)
	}

	initiator, ya, err := hmacauth.NewInitiator(secret(t, e.PassphraseInitiator), h, bytes.NewReader(s.UniformInitiator))
	require.NoError(t, err)
	require.Equal(t, s.Ya.hash(), [32]byte(ya))
	yb, joiner, err := hmacauth.Respond(secret(t, e.PassphraseJoiner), h, ya, e.hello(), bytes.NewReader(s.UniformJoiner))
	require.NoError(t, err)
	require.Equal(t, s.Yb.hash(), [32]byte(yb))
	keys, err := initiator.Finish(yb, e.hello())
	require.NoError(t, err)
	for i := range e.Messages {
		checkMessage(t, e, i, keys, joiner)
		classes["message"]++
	}
	classes["valid"]++
}

func checkISK(t *testing.T, s keySteps) {
	in := cpace.Input{PRS: s.PRS, CI: s.CI, SID: s.SID}
	a, ya, err := cpace.Start(in, bytes.NewReader(s.UniformInitiator))
	require.NoError(t, err)
	b, yb, err := cpace.Start(in, bytes.NewReader(s.UniformJoiner))
	require.NoError(t, err)
	iskA, err := a.FinishInitiator(s.ADa, yb, s.ADb)
	require.NoError(t, err)
	iskB, err := b.FinishResponder(ya, s.ADa, s.ADb)
	require.NoError(t, err)
	require.Equal(t, []byte(s.ISK), iskA)
	require.Equal(t, []byte(s.ISK), iskB)
}

func checkMessage(t *testing.T, e exchangeVector, i int, initiator *hmacauth.InitiatorKeys, joiner *hmacauth.JoinerKeys) {
	m, q, p := e.Messages[i], e.request(i), e.reply(i)
	if m.Repetition {
		before := e.Messages[i-1]
		before.Repetition = true
		require.Equal(t, before, m, "a repetition is the same request with the same reply")
	}
	require.Equal(t, []byte(m.RequestInput), hmacauth.RequestInput(hmacauth.ToInitiator, q))
	mac := joiner.SignRequest(q)
	require.Equal(t, m.RequestMAC.hash(), [32]byte(mac))
	require.NoError(t, initiator.VerifyRequest(q, mac))
	require.Equal(t, []byte(m.ReplyInput), hmacauth.ReplyInput(hmacauth.ToJoiner, q, mac, p))
	answer := initiator.SignReply(q, mac, p)
	require.Equal(t, m.ReplyMAC.hash(), [32]byte(answer))
	require.NoError(t, joiner.VerifyReply(q, mac, p, answer))

	credentials := hmacauth.Credentials{Handshake: q.Handshake, Sequence: q.Sequence, MAC: mac}
	if m.Endpoint == hmacauth.EndpointJoin {
		credentials.Share = e.Steps.Yb.hash()
	}
	require.Equal(t, m.Authorization, hmacauth.FormatAuthorization(credentials))
	parsed, err := hmacauth.ParseAuthorization(m.Authorization)
	require.NoError(t, err)
	require.Equal(t, credentials, parsed)
	require.Equal(t, m.AuthenticationInfo, hmacauth.FormatAuthenticationInfo(answer))
	got, err := hmacauth.ParseAuthenticationInfo(m.AuthenticationInfo)
	require.NoError(t, err)
	require.Equal(t, answer, got)
	require.Equal(t, hex.EncodeToString(mac[:]), mac.String())
}

func checkHeader(t *testing.T, v headerVector, classes map[string]int) {
	require.Equal(t, "header", v.Class)
	var err error
	switch v.Header {
	case "Authorization":
		_, err = hmacauth.ParseAuthorization(v.Value)
	case "Authentication-Info":
		_, err = hmacauth.ParseAuthenticationInfo(v.Value)
	default:
		require.FailNow(t, "unknown header", v.Header)
	}
	require.ErrorIs(t, err, hmacauth.ErrHeader)
	classes[v.Class]++
}
