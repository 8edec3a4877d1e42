package microcloud_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

func rawKey(t testing.TB, version string, key []byte) *microcloud.Key {
	k, err := microcloud.NewRawKey(version, key)
	require.NoError(t, err)
	return k
}

func TestNewRawKeyRefuses(t *testing.T) {
	good := make([]byte, microcloud.MinRawKey)
	tests := []struct {
		reason, version string
		key             []byte
		setting         string
	}{
		{"no version", "", good, "version"},
		{"a space", "a b", good, "version"},
		{"a line break", "a\n", good, "version"},
		{"a byte that is no character", "\xff", good, "version"},
		{"not ASCII", "ü", good, "version"},
		{"no key", "v", nil, "key"},
		{"a short key", "v", good[1:], "key"},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			k, err := microcloud.NewRawKey(tt.version, tt.key)
			require.Nil(t, k)
			requireSetting(t, err, tt.setting)
		})
	}
	require.GreaterOrEqual(t, len(tests), 7)
}

func requireSetting(t *testing.T, err error, setting string) {
	t.Helper()
	var refused *microcloud.ConfigError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, microcloud.ErrConfig)
	require.Equal(t, setting, refused.Setting)
	require.Contains(t, err.Error(), refused.Setting+" "+refused.Rule)
}

// Everything that differs between signing and verifying is the same opaque error.
func TestKeyRefuses(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	k := rawKey(t, "v", key)
	h, err := microcloud.ParseRaw("v", k.Sign([]byte(signed)))
	require.NoError(t, err)
	require.NoError(t, k.Verify(h, []byte(signed)))
	require.NoError(t, rawKey(t, "v", key).Verify(h, []byte(signed)), "another side")

	otherVersion, err := microcloud.ParseRaw("w", "w"+strings.TrimPrefix(h.String(), "v"))
	require.NoError(t, err)
	salted := parse(t, "MicroCloud-1.0 00:"+strings.TrimPrefix(h.String(), "v "))
	tests := []struct {
		reason string
		key    *microcloud.Key
		header microcloud.Header
		body   string
	}{
		{"another key", rawKey(t, "v", other), h, signed},
		{"another version", k, otherVersion, signed},
		{"a salt where none belongs", rawKey(t, microcloud.Version, key), salted, signed},
		{"another body", k, h, signed + " "},
		{"a line break at the end", k, h, signed + "\n"},
		{"a shorter body", k, h, signed[1:]},
		{"no body", k, h, ""},
		{"the zero header", k, microcloud.Header{}, signed},
		{"the zero key", &microcloud.Key{}, h, signed},
		{"both zero", &microcloud.Key{}, microcloud.Header{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			require.Equal(t, microcloud.ErrMAC, tt.key.Verify(tt.header, []byte(tt.body)))
		})
	}
	require.GreaterOrEqual(t, len(tests), 10)
	require.Empty(t, (&microcloud.Key{}).Sign([]byte(signed)))
}

// Every bit of a code counts.
func TestEveryBitOfACodeCounts(t *testing.T) {
	k := rawKey(t, "v", make([]byte, 32))
	value := k.Sign([]byte(signed))
	mac, err := hex.DecodeString(strings.TrimPrefix(value, "v "))
	require.NoError(t, err)
	for bit := range 8 * len(mac) {
		changed := bytes.Clone(mac)
		changed[bit/8] ^= 1 << (bit % 8)
		h, err := microcloud.ParseRaw("v", fmt.Sprintf("v %x", changed))
		require.NoError(t, err)
		require.Equal(t, microcloud.ErrMAC, k.Verify(h, []byte(signed)), "bit %d", bit)
	}
	require.Len(t, mac, microcloud.MACSize)
}

// The key is used as it is, and the caller may do with its bytes what it likes afterwards.
func TestRawKeyIsUsedAsItIs(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 100) // longer than a block of SHA-256
	hash := hmac.New(sha256.New, key)
	hash.Write([]byte(signed))
	k := rawKey(t, "Other/1", key)
	clear(key)
	require.Equal(t, fmt.Sprintf("Other/1 %x", hash.Sum(nil)), k.Sign([]byte(signed)))
}
