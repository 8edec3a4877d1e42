package hmacauth_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/stretchr/testify/require"
)

// TestInvitationSecrets: the vectors of invitations say what enters the key exchange.
func TestInvitationSecrets(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "invitation.json"))
	require.NoError(t, err)
	var file struct {
		Vectors []struct {
			Content *struct {
				Secret string `json:"secret"`
				PRS    string `json:"prs"`
			} `json:"content"`
		} `json:"vectors"`
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	checked := 0
	for _, v := range file.Vectors {
		if v.Content == nil {
			continue
		}
		secret, err := hex.DecodeString(v.Content.Secret)
		require.NoError(t, err)
		require.Equal(t, v.Content.PRS, hex.EncodeToString(hmacauth.InvitationSecret([16]byte(secret)).PRS()))
		checked++
	}
	require.GreaterOrEqual(t, checked, 5)
}

// TestKindsOfSecretsAreApart: a passphrase of the same bytes is another secret, and is counted under another name.
func TestKindsOfSecretsAreApart(t *testing.T) {
	const text = "sixteen bytes..."
	p, err := hmacauth.ParsePassphrase(text)
	require.NoError(t, err)
	inv := hmacauth.InvitationSecret([16]byte([]byte(text)))
	key := make([]byte, 32)
	require.NotEqual(t, p.Secret().PRS(), inv.PRS())
	require.NotEqual(t, p.Secret().Tag(key), inv.Tag(key))
	require.NotEqual(t, hmacauth.Secret{}.Tag(key), inv.Tag(key))
	require.False(t, inv.IsZero())
}
