package events

import (
	"context"
	"log/slog"
	"slices"
	"strings"
)

// NewMicroOVNHandler returns a handler that gives next the records of a [Log] with the fields that MicroOVN's security events
// have and no others: security, category, event, and as far as they apply node, service, action, subject, source, session,
// outcome and reason. MicroOVN knows the categories AUTHN, AUTHZ and SYS: the other three become SYS. What else a record says
// goes into its message, as key=value. Records that are no security events pass unchanged.
//
//	logger := slog.New(events.NewMicroOVNHandler(handler))
//	svc, err := trust.NewService(trust.Config{Store: store, Logger: logger})
//
// docs/events.md, section "MicroOVN".
func NewMicroOVNHandler(next slog.Handler) slog.Handler { return microOVN{next} }

type microOVN struct{ next slog.Handler }

func (h microOVN) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h microOVN) WithAttrs(attrs []slog.Attr) slog.Handler { return microOVN{h.next.WithAttrs(attrs)} }

func (h microOVN) WithGroup(name string) slog.Handler { return microOVN{h.next.WithGroup(name)} }

func (h microOVN) Handle(ctx context.Context, r slog.Record) error {
	var all []slog.Attr
	r.Attrs(func(a slog.Attr) bool {
		all = append(all, a)
		return true
	})
	if !isEvent(all) {
		return h.next.Handle(ctx, r)
	}
	known := contextKeys()
	var fields []slog.Attr
	var rest strings.Builder
	for _, a := range all {
		switch {
		case a.Key == keyCategory:
			fields = append(fields, slog.String(keyCategory, string(microOVNCategory(Category(a.Value.String())))))
		case a.Key == keySecurity, a.Key == keyEvent, slices.Contains(known, a.Key):
			fields = append(fields, a)
		default:
			rest.WriteString(" " + a.Key + "=" + a.Value.String()) // text was quoted when it became a field
		}
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message+rest.String(), r.PC)
	out.AddAttrs(fields...)
	return h.next.Handle(ctx, out)
}

// isEvent reports whether these are the attributes of a record of a Log.
func isEvent(attrs []slog.Attr) bool {
	return len(attrs) >= 3 && attrs[0].Equal(slog.Bool(keySecurity, true)) && attrs[1].Key == keyCategory && attrs[2].Key == keyEvent
}

func microOVNCategory(c Category) Category {
	switch c {
	case Authn, Authz, Sys:
		return c
	}
	return Sys
}
