package session_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"reflect"
	"testing"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// The passphrase must not come out of anything that is printed, logged or encoded, and not be found by walking over the
// fields.
func TestThePassphraseIsNeverPrinted(t *testing.T) {
	const secret = "unmistakable"
	p, err := hmacauth.ParsePassphrase(secret + " words of a person")
	require.NoError(t, err)
	cfg := session.Config{Passphrase: p}
	s, err := session.New(cfg, newRegistry().hooks())
	require.NoError(t, err)
	defer s.Close(nil)
	require.Contains(t, s.Passphrase().Reveal(), secret, "the check looks for the right thing")
	id := propose(t, s, offer(t, "a"), session.StateOffered)
	j, _ := s.Lookup(id)
	values := map[string]any{
		"Config": cfg, "*Config": &cfg, "Session": s, "Event": session.Event{Joiner: j, Kind: session.EventOffered}, "Joiner": j,
		"in a struct": struct{ S *session.Session }{s}, "in a slice": []any{cfg, s},
		"error": &session.FieldError{Field: "Passphrase", Rule: fmt.Sprint(p)},
	}
	checked := 0
	check := func(out string) {
		t.Helper()
		checked++
		require.NotContains(t, out, secret)
		require.NotContains(t, out, fmt.Sprintf("%x", secret))
		require.NotContains(t, out, fmt.Sprint([]byte(secret)))
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
			check(fmt.Sprintf(verb, v))
		}
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, nil)).Info("v", "v", v)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("v", "v", v)
		_ = json.NewEncoder(&buf).Encode(v)
		_ = gob.NewEncoder(&buf).Encode(v)
		_ = xml.NewEncoder(&buf).Encode(v)
		check(buf.String())
		walk(reflect.ValueOf(v), map[uintptr]bool{}, func(text string) { check(text) })
	}
	require.GreaterOrEqual(t, checked, 100)
}

// walk calls found for every string and byte string that reflection reaches.
func walk(v reflect.Value, seen map[uintptr]bool, found func(string)) {
	switch v.Kind() {
	case reflect.String:
		found(v.String())
	case reflect.Pointer:
		if v.IsNil() || seen[v.Pointer()] {
			return
		}
		seen[v.Pointer()] = true
		walk(v.Elem(), seen, found)
	case reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), seen, found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			walk(v.Field(i), seen, found)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			raw := make([]byte, v.Len())
			for i := range raw {
				raw[i] = byte(v.Index(i).Uint())
			}
			found(string(raw))
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), seen, found)
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			walk(iter.Key(), seen, found)
			walk(iter.Value(), seen, found)
		}
	}
}

func TestSessionPrintsItsState(t *testing.T) {
	s := open(t, session.Config{}, newRegistry())
	require.Regexp(t, `^session [0-9a-f]{32} \(open\)$`, s.String())
	s.Close(session.ErrExhausted)
	for _, text := range []string{fmt.Sprintf("%v", s), fmt.Sprintf("%#v", s), s.LogValue().String()} {
		require.Regexp(t, `^session [0-9a-f]{32} \(closed: exhausted\)$`, text)
	}
}
