package contain

import (
	"io"
	"log/slog"
)

// ReportTo has what goes wrong in a logger's handler told to somebody else.
func ReportTo(l *slog.Logger, to io.Writer) *slog.Logger {
	l.Handler().(handler).calls.report.to = to
	return l
}

// NewReporterTo returns a Reporter that tells somebody else.
func NewReporterTo(to io.Writer) *Reporter { return &Reporter{to: to} }
