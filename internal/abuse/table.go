package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"time"
)

// The aims of docs/security-figures.md.
const (
	aimTime   = 2 * time.Second // for 99 of 100 honest joins
	aimMemory = 64 << 20        // under strangers

	aimMemoryMember = 96 << 20  // a member may send a body of 8 MiB, which is there twice while it is decoded
	aimMemoryArgon2 = 160 << 20 // a derivation takes 64 MiB
)

// mayHold returns how much the server may hold under an attack, in bytes.
func (a attack) mayHold() int {
	switch {
	case a.microCloud:
		return aimMemoryArgon2
	case a.member:
		return aimMemoryMember
	}
	return aimMemory
}

func printHead(out io.Writer, o options, base figures) {
	fmt.Fprintf(out, "%d processors; each attack %v, a machine begins to join every %v\n", runtime.NumCPU(), o.each, o.cadence)
	fmt.Fprintf(out, "processor time of the server: bare mutual TLS handshake %v, join %v\n", round(base.handshake), round(base.join))
	fmt.Fprintf(out, "undisturbed: %d of %d joined, median %v, 99 of 100 within %v, %d MiB; exchanges within %v\n\n",
		base.calm.joined, base.calm.joins, round(base.calm.median), round(base.calm.p99), base.calm.peak>>20, round(base.calm.exchangeP99))
	fmt.Fprintln(out, "| attack | from | joined | median | 99 of 100 | hostile per second | processor, in handshakes | memory at most | guesses | exchanged | 99 of 100 |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|---|")
}

// printRow prints a line and returns how many aims it misses. A short run judges no times, and no exchanges. The server is to hold no more than hold bytes.
func printRow(out io.Writer, r row, base figures, short bool, hold int) (missed int) {
	fmt.Fprintf(out, "| %s | %s | %d of %d | %v | %v | %.0f | %.2f | %d MiB | %d | %d of %d | %v |\n", r.attack, r.sources, r.joined, r.joins,
		round(r.median), round(r.p99), float64(r.units)/r.each.Seconds(), float64(r.spent)/float64(base.handshake), r.peak>>20, r.guesses,
		r.exchanged, r.exchanges, round(r.exchangeP99))
	miss := func(is bool, format string, args ...any) {
		if is {
			missed++
			fmt.Fprintf(out, "  MISSED: "+format+"\n", args...)
		}
	}
	miss(r.joined < r.joins, "%d joins failed: %v", r.joins-r.joined, r.failures)
	miss(r.exchanged < r.exchanges && !short, "%d exchanges failed: %v", r.exchanges-r.exchanged, r.failures)
	miss(r.p99 > aimTime && !short, "99 of 100 joins took up to %v", round(r.p99))
	miss(r.peak > hold, "the server held %d MiB", r.peak>>20)
	miss(!r.open, "the session ended")
	return missed
}

func printFoot(out io.Writer, all []row, missed int) {
	joins, joined, units := 0, 0, 0
	answers := map[int]int{}
	for _, r := range all {
		joins, joined, units = joins+r.joins, joined+r.joined, units+r.units
		for status, n := range r.answers {
			answers[status] += n
		}
	}
	fmt.Fprintf(out, "\n%d attacks, %d hostile units, %d of %d honest joins, %d aims missed\n", len(all), units, joined, joins, missed)
	fmt.Fprint(out, "answers to strangers, by status (0: none):")
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		fmt.Fprintf(out, " %d: %d", status, answers[status])
	}
	fmt.Fprintln(out)
}

// round leaves three digits.
func round(d time.Duration) time.Duration {
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
