// Abuse measures what strangers can do to a daemon that lets machines join: it starts one in a process of its own, attacks it in
// every way that it knows, from one source and from many, at the highest rate that the machine produces, and has honest
// machines join meanwhile. It prints a table: how many of them joined, how long that took, what the daemon held and spent.
//
//	go run ./internal/abuse                 all attacks from all sources, fifteen minutes
//	go run ./internal/abuse -short          each attack for a second from one kind of sources, a minute at most
//	go run ./internal/abuse -sources many proofs tls-hellos
//
// It needs Linux (/proc, and all of 127.0.0.0/8). Everything stays on loopback: no other address is ever dialled. With attacks
// over IPv6 all of it runs in a network namespace of its own, where that is permitted (to root, or in "unshare -rn"), and
// otherwise says that they were skipped. Each attack ends by itself. The exit code is 1 if an aim of docs/security-figures.md,
// "Honest joins under attack", is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// insideVariable says to this program that it runs in a network of its own.
const insideVariable = "MICROTRUST_ABUSE_INSIDE"

// options say what is run.
type options struct {
	attacks []string
	sources []string
	short   bool          // each attack from one kind of sources in turn; times are not judged
	each    time.Duration // how long each attack lasts
	cadence time.Duration // from the begin of one honest join to that of the next
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(ctx, role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	opts, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if slices.Contains(opts.sources, fromSix) && os.Getenv(insideVariable) == "" {
		fmt.Printf("SKIPPED: attacks from %s: %v\n", fromSix, goInside())
		opts.sources = slices.DeleteFunc(opts.sources, func(mode string) bool { return mode == fromSix })
	}
	missed, err := conduct(ctx, opts, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if missed > 0 {
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	flags := flag.NewFlagSet("abuse", flag.ContinueOnError)
	short := flags.Bool("short", false, "each attack for a second, from one kind of sources; all is judged but the times, and the exchanges of a member")
	sources := flags.String("sources", strings.Join(sourceModes(), ","), "where attacks come from, separated by commas")
	each := flags.Duration("each", 12*time.Second, "how long each attack lasts")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o := options{attacks: flags.Args(), sources: strings.Split(*sources, ","), each: *each, cadence: 200 * time.Millisecond}
	if o.short = *short; o.short {
		o.each, o.cadence = time.Second, 100*time.Millisecond
	}
	if len(o.attacks) == 0 {
		for _, a := range attacks() {
			o.attacks = append(o.attacks, a.name)
		}
	}
	for _, name := range o.attacks {
		if _, ok := attackOf(name); !ok {
			return o, fmt.Errorf("no attack is called %q", name)
		}
	}
	for _, mode := range o.sources {
		if !slices.Contains(sourceModes(), mode) {
			return o, fmt.Errorf("-sources: %q is none of %v", mode, sourceModes())
		}
	}
	return o, nil
}
