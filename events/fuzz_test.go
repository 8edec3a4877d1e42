package events_test

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/events"
	"github.com/stretchr/testify/require"
)

// FuzzRecord puts text and keys from peers into a record: with a handler that quotes nothing it is one line still, in which level,
// category and event are said once, as the kind has them.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{"", "why", "a\nevent=authn_login_success", `" event=x "`, "\x1b[2J", "\u2028\u202e", strings.Repeat("é", 150), "\xff\xfe", `\`, "category=SYS"} {
		f.Add(seed, seed, byte(2))
	}
	f.Fuzz(func(t *testing.T, key, hostile string, which byte) {
		kind := events.Kind(which)
		var out bytes.Buffer
		log := events.New(events.Config{Logger: slog.New(bareHandler{&out}), Node: hostile, Service: hostile})
		log.Emit(kind, "what happened", append(everyField(hostile), events.Extra(key, hostile))...)
		if kind.String() == "" || out.Len() == 0 {
			return
		}
		line := out.String()
		require.Equal(t, 1, strings.Count(line, "\n"), "%q", line)
		for _, r := range strings.TrimSuffix(line, "\n") {
			require.True(t, ' ' <= r && r <= '~', "%q", line)
		}
		require.Equal(t, []string{"event=" + kind.String()}, bareWords(line, "event="))
		require.Len(t, bareWords(line, "category="), 1)
		require.Len(t, bareWords(line, "security="), 1)
		require.Less(t, len(line), 16<<10)
	})
}

// FuzzFlood lets any kinds of event come from any sources while time passes and the log is flushed: records and sums together stand
// for every event.
func FuzzFlood(f *testing.F) {
	f.Add([]byte{3, 1, 3, 1, 3, 1, 3, 2, 250, 3, 1})
	f.Add(bytes.Repeat([]byte{3, 7, 9, 1, 17, 200, 16, 9}, 40))
	f.Add([]byte{251, 60, 3, 1, 255, 3, 1, 252, 3, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			log, records := logged(events.Config{})
			emitted := map[events.Kind]int64{}
			for i := 0; i+1 < min(len(data), 600); i += 2 {
				switch what := data[i]; {
				case what < 200:
					kind := events.Kind(what%20 + 1)
					log.Emit(kind, "it", events.Source(netip.AddrFrom4([4]byte{10, data[i+1], 0, what})))
					if kind != events.MonitorEnabled && kind != events.MonitorDisabled {
						emitted[kind]++
					}
				case what < 250:
					time.Sleep(time.Duration(data[i+1]) * time.Second)
					synctest.Wait()
				default:
					log.Flush()
				}
			}
			log.Flush()
			synctest.Wait()
			for kind, n := range emitted {
				require.Equal(t, n, total(records(), kind), kind.String())
			}
		})
	})
}
