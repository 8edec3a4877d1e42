package microcloud_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// requireRefusal: a header is refused by one of three errors, and nothing of it is returned.
func requireRefusal(t *testing.T, h microcloud.Header, err error) {
	version, isVersion := errors.AsType[*microcloud.VersionError](err)
	refused := errors.Is(err, microcloud.ErrNoHeader) || errors.Is(err, microcloud.ErrHeader) || isVersion
	require.True(t, refused, err)
	if isVersion {
		require.LessOrEqual(t, len(version.Got), 32)
	}
	require.Zero(t, h)
	status, _ := microcloud.Answer(err)
	require.Equal(t, 400, status)
}

// What is parsed and formatted again is the same text but for the case of its digits, or it was refused.
func FuzzParse(f *testing.F) {
	seeds := []string{
		"", authorization, strings.ToUpper(authorization), "MicroCloud-1.0 " + strings.ToUpper(saltDigits) + ":" + macDigits,
		"MicroCloud-1.0 00:" + macDigits, "MicroCloud-1.0 :" + macDigits, "MicroCloud-1.0 " + macDigits, "MicroCloud-2.0 00:00", " ",
		"MicroCloud-1.0 " + strings.Repeat("00", 65) + ":" + macDigits, authorization + ":" + macDigits,
	}
	require.Len(f, seeds, 11)
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h, err := microcloud.Parse(value)
		if err != nil {
			requireRefusal(t, h, err)
			return
		}
		credentials, found := strings.CutPrefix(value, microcloud.Version+" ")
		require.True(t, found)
		require.Equal(t, microcloud.Version+" "+strings.ToLower(credentials), h.String())
		require.LessOrEqual(t, len(value), 15+128+1+64)
	})
}

// The same for the form without key derivation, with whatever version is expected.
func FuzzParseRaw(f *testing.F) {
	seeds := [][2]string{{"v", "v " + macDigits}, {"v", "w " + macDigits}, {"v", "v " + strings.ToUpper(macDigits)}, {"", " " + macDigits}, {"v", authorization}, {"v", ""}}
	require.Len(f, seeds, 6)
	for _, seed := range seeds {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, version, value string) {
		h, err := microcloud.ParseRaw(version, value)
		if err != nil {
			requireRefusal(t, h, err)
			return
		}
		credentials, found := strings.CutPrefix(value, version+" ")
		require.True(t, found)
		require.NotEmpty(t, version)
		require.Equal(t, version+" "+strings.ToLower(credentials), h.String())
	})
}
