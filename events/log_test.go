package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/microtrust/microtrust/events"
	"github.com/stretchr/testify/require"
)

// lockedBuffer may be read while sums are written.
type lockedBuffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

// logged returns a log and what it wrote, decoded record by record: of a key that is there twice, the last value.
func logged(cfg events.Config) (*events.Log, func() []map[string]any) {
	var out lockedBuffer
	cfg.Logger = slog.New(slog.NewJSONHandler(&out, nil))
	return events.New(cfg), func() []map[string]any {
		var all []map[string]any
		for line := range strings.Lines(out.String()) {
			var record map[string]any
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				record = map[string]any{"broken": line}
			}
			all = append(all, record)
		}
		return all
	}
}

// everyField is one of each, with text that a peer would like to see in a log.
func everyField(hostile string) []events.Field {
	return []events.Field{
		events.Doing(events.ClusterJoin), events.Subject(hostile), events.By(hostile), events.Fingerprint([32]byte{1, 2}),
		events.Source(netip.MustParseAddr("192.0.2.7")), events.Session([16]byte{3}), events.ID(hostile), events.Protocol(hostile),
		events.Role(hostile), events.Rule(hostile), events.Compared(hostile), events.Outcome(hostile), events.Cause(errors.New(hostile)),
		events.Until(time.Unix(1e9, 0)), events.Count(7), events.Extra("colour", hostile), {},
	}
}

func TestKindDecidesNameLevelAndCategory(t *testing.T) {
	kinds := events.Kinds()
	require.Len(t, kinds, 22)
	for _, kind := range kinds {
		log, records := logged(events.Config{Node: "micro01"})
		log.Emit(kind, "it happened", everyField("x")...)
		require.Len(t, records(), 1, kind)
		got := records()[0]
		require.Equal(t, true, got["security"])
		require.Equal(t, kind.String(), got["event"])
		require.Equal(t, string(kind.Category()), got["category"])
		require.Equal(t, kind.Level().String(), got["level"])
		require.Equal(t, "it happened", got["msg"])
		require.Equal(t, "micro01", got["node"])
		require.Equal(t, "microtrust", got["service"])
		require.Equal(t, "cluster_join", got["action"])
		require.Equal(t, "192.0.2.7", got["source"])
		require.NotContains(t, got, "")
	}
}

func TestWhatIsNoEventIsIgnored(t *testing.T) {
	log, records := logged(events.Config{})
	log.Emit(0, "nothing")
	log.Emit(200, "nothing")
	require.Empty(t, records())
	require.Empty(t, events.Kind(200).String())
	require.Empty(t, events.Action(200).String())
}

// TestNoFieldTakesThePlaceOfAnother: not by its key in any spelling, and not by being given twice.
func TestNoFieldTakesThePlaceOfAnother(t *testing.T) {
	keys := []string{
		"security", "category", "event", "node", "service", "action", "subject", "source", "session", "outcome", "reason", "count", "msg",
		"level", "time", "Event", "", "a b", "a=b", "event\n", "é", strings.Repeat("k", 65),
	}
	for _, key := range keys {
		log, records := logged(events.Config{Node: "micro01"})
		log.Emit(events.LoginFail, "m", events.Extra(key, "forged"), events.Subject("first"), events.Subject("forged"))
		got := records()[0]
		require.Equal(t, "authn_login_fail", got["event"])
		require.Equal(t, "AUTHN", got["category"])
		require.Equal(t, "WARN", got["level"])
		require.Equal(t, "micro01", got["node"])
		require.Equal(t, "m", got["msg"])
		require.Equal(t, "first", got["subject"])
		extras := 0
		for name := range got {
			if strings.HasPrefix(name, "extra_") {
				extras++
				require.Regexp(t, `^[a-zA-Z0-9_]+$`, name)
			}
		}
		require.Equal(t, 1, extras, key)
	}
	log, records := logged(events.Config{})
	log.Emit(events.LoginFail, "m", events.Extra("colour", "red"))
	require.Equal(t, "red", records()[0]["colour"])
}

// TestTextOfPeersBreaksNoLine: whatever the handler does, a record stays one line, and what a peer says stays one value of it.
func TestTextOfPeersBreaksNoLine(t *testing.T) {
	for _, hostile := range []string{
		"\nlevel=ERROR event=authz_admin", "\r\n", "a\u2028b", "\x1b[2J", "\u202ereversed", "\xff\xfe", `" event="authz_admin`, "a event=b", "",
		strings.Repeat("x", 1000), strings.Repeat("\xf0\x9f\x98\x80", 300), "\x00",
	} {
		var plain, structured bytes.Buffer
		for _, handler := range []slog.Handler{bareHandler{out: &plain}, slog.NewTextHandler(&structured, nil), slog.NewJSONHandler(&structured, nil)} {
			events.New(events.Config{Logger: slog.New(handler), Node: hostile, Service: hostile}).Emit(events.AuthzFail, "m", everyField(hostile)...)
		}
		require.Equal(t, 1, strings.Count(plain.String(), "\n"), "%q", hostile)
		require.Equal(t, 2, strings.Count(structured.String(), "\n"), "%q", hostile)
		for _, r := range plain.String() + structured.String() {
			require.True(t, r == '\n' || ' ' <= r && r <= '~', "%q gave %q", hostile, r)
		}
		require.Equal(t, 1, len(bareWords(plain.String(), "event=")), "%q: %s", hostile, plain.String())
		require.Less(t, plain.Len(), 16<<10)
	}
}

// TestTheLoggersOwnAttributesDoNotWin: a reader of JSON takes the last of two.
func TestTheLoggersOwnAttributesDoNotWin(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil)).With("event", "forged", "category", "forged", "security", false)
	events.New(events.Config{Logger: logger}).Emit(events.Startup, "m")
	var got map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	require.Equal(t, "sys_startup", got["event"])
	require.Equal(t, true, got["security"])
	require.Equal(t, "SYS", got["category"])
}

func TestSwitchingIsAnEvent(t *testing.T) {
	log, records := logged(events.Config{})
	require.True(t, log.On())
	log.Switch(true)
	log.Switch(false)
	log.Switch(false)
	require.False(t, log.On())
	log.Emit(events.LoginFail, "not written")
	log.Switch(true)
	log.Emit(events.Startup, "written")
	var names []string
	for _, record := range records() {
		names = append(names, fmt.Sprint(record["event"], " ", record["level"]))
	}
	require.Equal(t, []string{"sys_monitor_disabled WARN", "sys_monitor_enabled INFO", "sys_startup INFO"}, names)

	off, records := logged(events.Config{Off: true})
	off.Emit(events.Startup, "not written")
	require.Len(t, records(), 1)
	require.Equal(t, "sys_monitor_disabled", records()[0]["event"])
}

func TestSpellingOfTheSheet(t *testing.T) {
	log, records := logged(events.Config{SheetSpelling: true})
	log.Emit(events.PasswordChanged, "m")
	log.Emit(events.Startup, "m")
	require.Equal(t, "authn_password_change", records()[0]["event"])
	require.Equal(t, "sys_startup", records()[1]["event"])
	require.Equal(t, "authn_password_changed", events.PasswordChanged.String())
}

func TestNilLoggerDiscards(t *testing.T) {
	log := events.New(events.Config{})
	for _, kind := range events.Kinds() {
		log.Emit(kind, "m", everyField("x")...)
	}
	log.Flush()
}
