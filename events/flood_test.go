package events_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/events"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// total returns how many events the records of a kind stand for.
func total(records []map[string]any, kind events.Kind) (n int64) {
	for _, record := range records {
		if record["event"] != kind.String() {
			continue
		}
		if count, summed := record["count"].(float64); summed {
			n += int64(count)
		} else {
			n++
		}
	}
	return n
}

func TestFloodIsSummedUpByBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := logged(events.Config{})
		for i := range 300 {
			log.Emit(events.LoginFail, "wrong proof", events.Source(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})), events.Reason("first"))
		}
		log.Emit(events.LoginFail, "wrong proof", events.Source(netip.MustParseAddr("198.51.100.1")))
		log.Emit(events.InputValidationFail, "malformed", events.Source(netip.MustParseAddr("192.0.2.1")))
		require.Len(t, records(), 3, "at once: the first of each block and kind")
		time.Sleep(events.Period - time.Nanosecond)
		synctest.Wait()
		require.Len(t, records(), 3)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Len(t, records(), 4)
		got := records()[3]
		require.Equal(t, "192.0.2.0/24", got["source"])
		require.EqualValues(t, 299, got["count"])
		require.Equal(t, "WARN", got["level"])
		require.Equal(t, "AUTHN", got["category"])
		require.Contains(t, got, "since")
		require.EqualValues(t, 301, total(records(), events.LoginFail))

		log.Emit(events.LoginFail, "wrong proof", events.Source(netip.MustParseAddr("192.0.2.1")))
		require.Len(t, records(), 5, "a new period, and so at once")
	})
}

// TestFloodFromEverywhereIsBounded: from more sources than anybody has, through hours, no more than so many records come, and
// the sums miss nothing.
func TestFloodFromEverywhereIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := logged(events.Config{})
		const minutes, each = 3, 200
		for range minutes {
			for i := range each {
				addr := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
				for _, kind := range events.Kinds() {
					log.Emit(kind, "m", events.Source(addr))
				}
			}
			time.Sleep(events.Period)
			synctest.Wait()
		}
		written := map[any]int{}
		for _, record := range records() {
			written[record["event"]]++
		}
		summed := 0
		for _, kind := range events.Kinds() {
			require.EqualValues(t, minutes*each, total(records(), kind), kind)
			if written[kind.String()] < minutes*each {
				summed++
				require.LessOrEqual(t, written[kind.String()], minutes*(events.MaxBlocks+events.MaxBlocks+1), kind)
			}
		}
		require.Equal(t, 11, summed)
	})
}

// TestNobodyHidesBehindAFlood: a flood of one kind from everywhere takes no room from another kind.
func TestNobodyHidesBehindAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := logged(events.Config{})
		for i := range 10 * events.MaxBlocks {
			log.Emit(events.InputValidationFail, "m", events.Source(netip.AddrFrom4([4]byte{10, 0, byte(i), byte(i >> 8)})))
		}
		log.Emit(events.LoginFail, "m", events.Source(netip.MustParseAddr("192.0.2.1")))
		last := records()[len(records())-1]
		require.Equal(t, "authn_login_fail", last["event"])
		require.Equal(t, "192.0.2.1", last["source"])
	})
}

// TestNobodyHidesBehindAnotherOfTheKind: what one block of sources does of one kind hides nothing else that it does of that kind, and the
// sums say what was done; nor does one that has no source hide another.
func TestNobodyHidesBehindAnotherOfTheKind(t *testing.T) {
	log, records := logged(events.Config{})
	from := events.Source(netip.MustParseAddr("192.0.2.1"))
	for range 3 {
		log.Emit(events.LoginFail, "strange certificate", from)
		log.Emit(events.LoginFail, "wrong proof", from)
		log.Emit(events.DirectReference, "not taken", events.Subject("micro02"))
		log.Emit(events.DirectReference, "not taken", events.Subject("micro03"))
	}
	require.Len(t, records(), 4)
	log.Flush()
	require.Len(t, records(), 8)
	var said []string
	for _, sum := range records()[4:] {
		require.EqualValues(t, 2, sum["count"])
		said = append(said, fmt.Sprint(sum["msg"], sum["subject"], sum["source"]))
	}
	const more = "; more of the same, summed up"
	require.Equal(t, []string{"strange certificate" + more + "<nil>192.0.2.0/24", "wrong proof" + more + "<nil>192.0.2.0/24",
		"not taken" + more + "micro02<nil>", "not taken" + more + "micro03<nil>"}, said)
}

// TestTextsAreBounded: who says the same in ever new words floods nothing, and loses no count.
func TestTextsAreBounded(t *testing.T) {
	log, records := logged(events.Config{})
	for i := range 1000 {
		log.Emit(events.LoginFail, fmt.Sprint("wrong proof ", i), events.Source(netip.MustParseAddr("192.0.2.1")))
	}
	require.Len(t, records(), events.MaxTexts+1)
	log.Flush()
	require.EqualValues(t, 1000, total(records(), events.LoginFail))
	require.Len(t, records(), events.MaxTexts+2)
}

// TestSwitchingAtOnceIsOneEvent: whoever switches the log off while another does tells it once.
func TestSwitchingAtOnceIsOneEvent(t *testing.T) {
	log, records := logged(events.Config{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { log.Switch(false) })
	}
	all.Wait()
	require.Len(t, records(), 1)
}

// TestSuccessesAreToldOneByOne: as many as a session admits.
func TestSuccessesAreToldOneByOne(t *testing.T) {
	log, records := logged(events.Config{})
	for i := range 60 {
		log.Emit(events.LoginSuccess, "m", events.Source(netip.MustParseAddr("192.0.2.1")), events.Subject(fmt.Sprint("micro", i)))
	}
	require.Len(t, records(), 50)
	log.Flush()
	require.EqualValues(t, 60, total(records(), events.LoginSuccess))
}

func TestFlushAndSwitchLoseNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, end := range []func(*events.Log){func(l *events.Log) { l.Flush() }, func(l *events.Log) { l.Switch(false) }} {
		log, records := logged(events.Config{})
		for range 10 {
			log.Emit(events.DirectReference, "m")
		}
		require.Len(t, records(), 1)
		end(log)
		require.EqualValues(t, 10, total(records(), events.DirectReference))
		log.Flush()
		require.EqualValues(t, 10, total(records(), events.DirectReference))
	}
}

// slowly is a writer that does something for each record first.
type slowly struct {
	io.Writer
	wait func()
}

func (s slowly) Write(p []byte) (int, error) {
	s.wait()
	return s.Writer.Write(p)
}

// TestFlushWaitsForWhatIsBeingWritten: a program that ends just when a period is over loses nothing either.
func TestFlushWaitsForWhatIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		writer := slowly{&out, func() { time.Sleep(time.Second) }}
		log := events.New(events.Config{Logger: slog.New(slog.NewJSONHandler(writer, nil))})
		emitted := time.Now()
		for range 3 {
			log.Emit(events.LoginFail, "m")
		}
		time.Sleep(time.Until(emitted.Add(events.Period)))
		synctest.Wait()
		log.Flush()
		require.Equal(t, 2, bytes.Count(out.Bytes(), []byte("\n")), "the first, and the sum of the others")
	})
}

// TestIdleLogDoesNothing: an event that was not followed by another leaves no sum behind, and nothing runs.
func TestIdleLogDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, records := logged(events.Config{})
		log.Emit(events.LoginFail, "m")
		time.Sleep(10 * events.Period)
		synctest.Wait()
		require.Len(t, records(), 1)
		require.NotContains(t, strings.Join(keysOf(records()[0]), " "), "count")
	})
	goleak.VerifyNone(t)
}

func keysOf(record map[string]any) (keys []string) {
	for key := range record {
		keys = append(keys, key)
	}
	return keys
}
