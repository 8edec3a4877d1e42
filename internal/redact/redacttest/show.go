package redacttest

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
)

// Show hands over every text that v becomes by all verbs and flags of fmt, by slog's handlers, and by the encoders of the
// standard library, with the name of the way. Errors of encoders are passed over: what was written until then is shown.
func Show(v any, show func(text, how string)) {
	for _, verb := range "vsqxXdboOtTpUeEfFgGcw" {
		for _, flag := range []string{"", "+", "#", "-20", "020", " "} {
			format := "%" + flag + string(verb)
			show(fmt.Sprintf(format, v), format)
		}
	}
	var log, stream bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).With("with", v).Info("m", "v", v, slog.Group("g", "v", v))
	}
	show(log.String(), "slog")
	text, _ := json.Marshal(v)
	show(string(text), "json")
	text, _ = json.MarshalIndent(v, "", " ")
	show(string(text), "json, indented")
	text, _ = xml.Marshal(v)
	show(string(text), "xml")
	_ = gob.NewEncoder(&stream).Encode(v)
	show(stream.String(), "gob")
}

// Wrapped returns v as it may stand in other values.
func Wrapped(v any) []any {
	type wrapped struct {
		Exported   any
		unexported any
	}
	return []any{v, wrapped{v, v}, &wrapped{v, v}, []any{v}, map[string]any{"k": v}}
}
