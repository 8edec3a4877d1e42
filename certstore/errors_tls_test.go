package certstore_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// What a person needs to know stands in the text of an error or a log line.
func TestTextsNameWhatMatters(t *testing.T) {
	f := sample()
	require.ErrorContains(t, &certstore.StrangerError{Fingerprint: f}, sampleFull)
	require.ErrorContains(t, &certstore.StrangerError{Fingerprint: f, Removed: true}, "removed")
	wrong := &certstore.WrongMemberError{Want: "micro01", Got: "micro02", Fingerprint: f}
	for _, part := range []string{"micro01", "micro02", sampleFull} {
		require.ErrorContains(t, wrong, part)
	}
	id := mintIdentity(t, "micro01")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("seen", "member", memberOf(id), "identity", id, "key", id.KeyID())
	for _, part := range []string{
		"member.name=micro01", "member.fingerprint=" + id.Fingerprint().String(), "identity.name=micro01", "key=" + id.KeyID().String(),
	} {
		require.Contains(t, log.String(), part)
	}
}
