package events_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/microtrust/microtrust/events"
	"github.com/stretchr/testify/require"
)

// TestMicroOVNHasExactlyItsFields: of every event, with every field that there is.
func TestMicroOVNHasExactlyItsFields(t *testing.T) {
	fields := []string{
		"action", "category", "event", "level", "msg", "node", "outcome", "reason", "security", "service", "session", "source", "subject", "time",
	}
	for _, kind := range events.Kinds() {
		var out bytes.Buffer
		logger := slog.New(events.NewMicroOVNHandler(slog.NewJSONHandler(&out, nil)))
		events.New(events.Config{Logger: logger, Node: "micro01", Service: "microovn"}).Emit(kind, "it happened", everyField("a text")...)
		var got map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &got))
		require.Equal(t, fields, slices.Sorted(maps.Keys(got)), kind)
		require.Equal(t, kind.String(), got["event"])
		require.Equal(t, kind.Level().String(), got["level"])
		want := string(kind.Category())
		if kind.Category() == events.Excess || kind.Category() == events.Input || kind.Category() == events.Malicious {
			want = "SYS"
		}
		require.Equal(t, want, got["category"], kind)
		require.Contains(t, got["msg"], `it happened by="a text" fingerprint=0102`)
		require.Contains(t, got["msg"], ` count=7 colour="a text"`)
	}
}

func TestMicroOVNBreaksNoLine(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(events.NewMicroOVNHandler(bareHandler{out: &out}))
	events.New(events.Config{Logger: logger}).Emit(events.AuthzFail, "m", everyField("\n event=authz_admin \"")...)
	require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("\n")))
	require.Equal(t, []string{"event=authz_fail"}, bareWords(out.String(), "event="))
}

// TestMicroOVNLeavesOtherRecordsAlone, and hands attributes, groups and levels on.
func TestMicroOVNLeavesOtherRecordsAlone(t *testing.T) {
	var through, direct bytes.Buffer
	options := &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for handler, out := range map[*slog.Logger]*bytes.Buffer{
		slog.New(events.NewMicroOVNHandler(slog.NewJSONHandler(&through, options))): &through,
		slog.New(slog.NewJSONHandler(&direct, options)):                             &direct,
	} {
		handler.Warn("hello", "colour", "red", "category", "EXCESS")
		handler.Warn("hello", "security", true, "event", "theirs", "colour", "red")
		handler.With("a", 1).WithGroup("g").Error("hello", "b", 2)
		handler.Info("too quiet")
		require.Equal(t, 3, bytes.Count(out.Bytes(), []byte("\n")))
	}
	require.Equal(t, direct.String(), through.String())
}
