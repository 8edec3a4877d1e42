package events_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// bareHandler writes what it gets without quoting anything: the least careful handler that there could be.
type bareHandler struct{ out *bytes.Buffer }

func (h bareHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h bareHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h bareHandler) WithGroup(string) slog.Handler            { return h }

func (h bareHandler) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprintf(h.out, "%v %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(h.out, " %s=%v", a.Key, a.Value)
		return true
	})
	fmt.Fprintln(h.out)
	return nil
}

// bareWords returns what begins with prefix outside of double quotes.
func bareWords(line, prefix string) (found []string) {
	var quoted, escaped bool
	outside := strings.Map(func(r rune) rune {
		was := quoted
		switch {
		case escaped:
			escaped = false
		case quoted && r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		}
		if was || quoted {
			return -1
		}
		return r
	}, line)
	for _, word := range strings.Fields(outside) {
		if strings.HasPrefix(word, prefix) {
			found = append(found, word)
		}
	}
	return found
}
