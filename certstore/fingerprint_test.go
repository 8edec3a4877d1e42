package certstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// sample is the SHA-256 hash of "microtrust", whose forms were computed independently.
func sample() certstore.Fingerprint { return sha256.Sum256([]byte("microtrust")) }

const (
	sampleFull    = "a6c5bca9d0ac354779dfcfd444ef4fe4e2e8e43ad1d84771321755a124b83500"
	sampleGrouped = "a6c5-bca9-d0ac-3547-79df-cfd4-44ef-4fe4-e2e8-e43a-d1d8-4771-3217-55a1-24b8-3500"
	sampleWords   = "numbing resisting uncolored chariot sleeve manmade cornstalk"
)

func TestParseFingerprintRefuses(t *testing.T) {
	refused := map[string]string{
		"empty":               "",
		"short form":          sample().Short(),
		"words":               sample().Words(),
		"one digit missing":   sampleFull[1:],
		"one digit too many":  sampleFull + "0",
		"upper case":          strings.ToUpper(sampleFull),
		"colons":              strings.ReplaceAll(sampleGrouped, "-", ":"),
		"spaces":              strings.ReplaceAll(sampleGrouped, "-", " "),
		"leading space":       " " + sampleFull,
		"line feed":           sampleFull + "\n",
		"not a digit":         "g" + sampleFull[1:],
		"prefix":              "SHA256:" + sampleFull,
		"group missing":       sampleGrouped[5:],
		"group of five":       strings.Replace(sampleGrouped, "bca9-d", "bca9d-", 1),
		"two hyphens":         strings.Replace(sampleGrouped, "a9-d0", "a--d0", 1),
		"upper case grouped":  strings.ToUpper(sampleGrouped),
		"hyphens at the ends": "-" + sampleGrouped[:len(sampleGrouped)-1],
		"only hyphens":        strings.Repeat("-", 79),
		"full-width digit":    "０" + sampleFull[3:],
	}
	for reason, text := range refused {
		t.Run(reason, func(t *testing.T) {
			_, err := certstore.ParseFingerprint(text)
			require.ErrorIs(t, err, certstore.ErrHash)
			f := sample()
			require.ErrorIs(t, f.UnmarshalText([]byte(text)), certstore.ErrHash)
			require.Equal(t, sample(), f, "changed by a refused text")
		})
	}
	require.GreaterOrEqual(t, len(refused), 19)
}

func TestFingerprintForms(t *testing.T) {
	f := sample()
	require.Equal(t, sampleFull, f.String())
	require.Equal(t, sampleGrouped, f.Grouped())
	require.Equal(t, sampleGrouped[:24], f.Short())
	require.Equal(t, sampleWords, f.Words())
	for _, text := range []string{sampleFull, sampleGrouped} {
		parsed, err := certstore.ParseFingerprint(text)
		require.NoError(t, err)
		require.Equal(t, f, parsed)
	}
	require.False(t, f.IsZero())
	require.True(t, certstore.Fingerprint{}.IsZero())

	encoded, err := json.Marshal(map[string]any{"fingerprint": f})
	require.NoError(t, err)
	require.JSONEq(t, `{"fingerprint":"`+sampleFull+`"}`, string(encoded))
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("seen", "peer", f)
	require.Contains(t, log.String(), "peer="+sampleFull)
}

// The drawing is the one that ssh-keygen -lv gives for a key with this hash.
func TestFingerprintPicture(t *testing.T) {
	f, err := certstore.ParseFingerprint("5db39c625eacf0b337f40df5d2197fd024241adbdc820f1c8148d576fe6ea332")
	require.NoError(t, err)
	require.Equal(t, strings.Join([]string{
		"+--[microtrust]---+",
		"|     ..o.o+....  |",
		"|      . ..oO.o. .|",
		"|         .*o* .+ |",
		"|         . *.=..o|",
		"|        S + B. +=|",
		"|         = +. +.=|",
		"|          =. o +.|",
		"|          Eoo = .|",
		"|          .+.+ . |",
		"+----[SHA256]-----+",
	}, "\n"), f.Picture())
}

func TestPictureOfExtremes(t *testing.T) {
	ones := certstore.Fingerprint(bytes.Repeat([]byte{0xff}, sha256.Size))
	back := certstore.Fingerprint(bytes.Repeat([]byte{0b11_00_11_00}, sha256.Size)) // to and fro on two fields
	for _, f := range []certstore.Fingerprint{{}, ones, back} {
		lines := strings.Split(f.Picture(), "\n")
		require.Len(t, lines, 11)
		for _, line := range lines {
			require.Len(t, line, 19)
		}
		require.Len(t, strings.Fields(f.Words()), 7)
	}
}

func TestHashTexts(t *testing.T) {
	type hash interface {
		encoding.TextMarshaler
		String() string
		IsZero() bool
	}
	type settable interface{ encoding.TextUnmarshaler }
	var (
		key       certstore.KeyID
		cluster   certstore.ClusterID
		statement certstore.StatementID
		digest    certstore.Digest
	)
	for kind, row := range map[string]struct {
		into settable
		get  func() hash
	}{
		"key":       {&key, func() hash { return key }},
		"cluster":   {&cluster, func() hash { return cluster }},
		"statement": {&statement, func() hash { return statement }},
		"digest":    {&digest, func() hash { return digest }},
	} {
		t.Run(kind, func(t *testing.T) {
			for _, text := range []string{"", sampleGrouped, strings.ToUpper(sampleFull), sampleFull[2:]} {
				require.ErrorIs(t, row.into.UnmarshalText([]byte(text)), certstore.ErrHash)
				require.True(t, row.get().IsZero(), "changed by a refused text")
			}
			require.NoError(t, row.into.UnmarshalText([]byte(sampleFull)))
			require.False(t, row.get().IsZero())
			require.Equal(t, sampleFull, row.get().String())
			text, err := row.get().MarshalText()
			require.NoError(t, err)
			require.Equal(t, sampleFull, string(text))
		})
	}
	require.Zero(t, statement.Compare(statement))
	require.Negative(t, certstore.StatementID{}.Compare(statement))
}
