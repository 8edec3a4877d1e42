package events_test

import (
	"log/slog"
	"net/netip"
	"os"

	"github.com/microtrust/microtrust/events"
)

// withoutTime keeps times out of what an example prints.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "since" {
		return slog.Attr{}
	}
	return a
}

func ExampleNew() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	log := events.New(events.Config{Logger: logger, Node: "micro01"})
	log.Emit(events.LoginFail, "wrong proof", events.Source(netip.MustParseAddr("192.0.2.7")), events.Count(1))
	log.Emit(events.LoginFail, "wrong proof", events.Source(netip.MustParseAddr("192.0.2.8")), events.Count(2))
	log.Switch(false)
	// Output:
	// level=WARN msg="wrong proof" security=true category=AUTHN event=authn_login_fail node=micro01 service=microtrust source=192.0.2.7 count=1
	// level=WARN msg="wrong proof; more of the same, summed up" security=true category=AUTHN event=authn_login_fail node=micro01 service=microtrust source=192.0.2.0/24 count=1
	// level=WARN msg="security events are not logged any more" security=true category=SYS event=sys_monitor_disabled node=micro01 service=microtrust
}

func ExampleNewMicroOVNHandler() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	log := events.New(events.Config{Logger: slog.New(events.NewMicroOVNHandler(handler)), Node: "micro01", Service: "microovn"})
	log.Emit(events.RateLimitExceeded, "too many requests", events.Source(netip.MustParseAddr("192.0.2.7")), events.Rule("limits"))
	// Output:
	// level=WARN msg="too many requests rule=limits" security=true category=SYS event=excess_rate_limit_exceeded node=micro01 service=microovn source=192.0.2.7
}
