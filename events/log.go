package events

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/internal/contain"
	"github.com/microtrust/microtrust/ratelimit"
)

// Config says where records go. It is copied.
type Config struct {
	// Logger gets the records; nil discards. It is shared. Attributes that it has already stand before those of a record. Its handler
	// is waited for, five seconds at most while it hangs, and a panic of it goes to standard error (docs/events.md, section "Handlers
	// that fail").
	Logger *slog.Logger
	// Node is the name of this machine; empty leaves it out.
	Node string
	// Service is the name of the daemon. Empty: "microtrust".
	Service string
	// Off starts with the log switched off, which is a record.
	Off bool
	// SheetSpelling writes authn_password_change, as the published vocabulary spells it, in place of authn_password_changed.
	SheetSpelling bool
}

// Log is a security log. It is safe for concurrent use.
type Log struct {
	logger  *slog.Logger
	always  []slog.Attr // node and service
	sheet   bool
	off     atomic.Bool
	tallies tallies
}

// New returns a log. It starts nothing.
func New(cfg Config) *Log {
	l := &Log{logger: contain.Logger(cfg.Logger), sheet: cfg.SheetSpelling}
	if cfg.Node != "" {
		l.always = append(l.always, text(keyNode, cfg.Node).attr)
	}
	if cfg.Service == "" {
		cfg.Service = "microtrust"
	}
	l.always = append(l.always, text(keyService, cfg.Service).attr)
	if cfg.Off {
		l.Switch(false)
	}
	return l
}

// Emit writes an event, or counts it where there are too many of its kind. text says for people what happened, in words of this
// program, of which there are few: those of a kind are told apart in sums. Of fields with the same key the first one counts. What is no event is ignored.
func (l *Log) Emit(k Kind, text string, fields ...Field) {
	facts := k.facts()
	if facts.name == "" {
		return
	}
	if l.off.Load() {
		return
	}
	if facts.atOnce > 0 && l.tallies.sumUp(k, text, whenceOf(fields), l.writeSums) {
		return
	}
	l.write(k, text, fields)
}

// On reports whether records are written.
func (l *Log) On() bool { return !l.off.Load() }

// Switch switches the log on or off. Both are records, unless it was so before.
func (l *Log) Switch(on bool) {
	if !l.off.CompareAndSwap(on, !on) {
		return
	}
	kind, text := MonitorEnabled, "security events are logged"
	if !on {
		l.Flush()
		kind, text = MonitorDisabled, "security events are not logged any more"
	}
	l.write(kind, text, nil)
}

// Flush writes the sums of what was not written, without waiting for the end of their period, and returns when the logger has them all.
// For the end of a program.
func (l *Log) Flush() { l.tallies.flush(l.writeSums) }

// writeSums writes what was summed up.
func (l *Log) writeSums(sums []sum) {
	for _, s := range sums {
		l.write(s.kind, s.text+"; more of the same, summed up", []Field{
			s.where(), Count(s.count), {attr: slog.Time(keySince, s.since.UTC().Round(0))},
		})
	}
}

func (l *Log) write(k Kind, text string, fields []Field) {
	facts := k.facts()
	if k == PasswordChanged && l.sheet {
		facts.name = "authn_password_change"
	}
	attrs := []slog.Attr{
		slog.Bool(keySecurity, true), slog.String(keyCategory, string(facts.category)), slog.String(keyEvent, facts.name),
	}
	attrs = append(attrs, l.always...)
	for _, f := range fields {
		same := func(a slog.Attr) bool { return a.Key == f.attr.Key }
		if f.attr.Key != "" && !slices.ContainsFunc(attrs, same) {
			attrs = append(attrs, f.attr)
		}
	}
	l.logger.LogAttrs(context.Background(), facts.level, text, attrs...)
}

func whenceOf(fields []Field) (from whence) {
	for _, f := range fields {
		if f.source.IsValid() {
			return whence{block: ratelimit.BlockOf(f.source)}
		}
		if f.attr.Key == keySubject && from.subject == "" {
			from.subject = f.attr.Value.String()
		}
	}
	return from
}

// sum is how many events of a kind and text were not written, of those that come from one place.
type sum struct {
	kind   Kind
	text   string
	from   whence
	others bool // it is of all places that had no room of their own
	count  int64
	since  time.Time
}

func (s sum) where() Field {
	switch {
	case s.others:
		return Field{attr: slog.String(keySource, "others")}
	case s.from.block.IsValid():
		return Field{attr: slog.String(keySource, s.from.block.String())}
	case s.from.subject != "":
		return Field{attr: slog.String(keySubject, s.from.subject)}
	}
	return Field{}
}
