package ratelimit_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/microtrust/microtrust/ratelimit"
	"github.com/stretchr/testify/require"
)

func TestNameIsKeyed(t *testing.T) {
	tag := func(key []byte) (out [32]byte) {
		require.Len(t, key, 32)
		h := hmac.New(sha256.New, key)
		h.Write([]byte("the secret"))
		h.Sum(out[:0])
		return out
	}
	one, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
	require.NoError(t, err)
	other, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
	require.NoError(t, err)
	require.Equal(t, one.Name(tag), one.Name(tag), "one secret has one name")
	require.NotEqual(t, one.Name(tag), other.Name(tag), "which means nothing elsewhere")
}
