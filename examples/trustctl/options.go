package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
)

const purpose = `trustctl looks at a machine's trust store, and changes it.

  trustctl -dir DIR COMMAND …

commands:`

// options are what the command line says.
type options struct {
	dir            string
	passphraseFile string
	json           bool
	keep           string
	yes            bool
	destroy        bool
	life           time.Duration
	advertise      terminal.Addresses
	args           []string
	command        command
}

// command is what the program can do.
type command struct {
	name      string
	arguments string // as shown to people
	does      string
	least     int // of arguments
	most      int // negative: any number
	flags     func(*flag.FlagSet, *options)
	run       func(*tool, context.Context) error
}

func commands() []command {
	yes := func(f *flag.FlagSet, o *options) { f.BoolVar(&o.yes, "yes", false, "do not ask") }
	asJSON := func(f *flag.FlagSet, o *options) { f.BoolVar(&o.json, "json", false, "as JSON") }
	return []command{
		{name: "list", arguments: "[-json]", does: "the members", run: (*tool).list, flags: asJSON},
		{name: "history", does: "all statements: who admitted and removed whom, and when", run: (*tool).history},
		{name: "verify", arguments: "[FILE]", does: "verifies the store's file, or another one, statement by statement", most: 1, run: (*tool).verify},
		{name: "audit", arguments: "[FILE…]", does: "looks for whatever is wrong; with exported files of other members also whether they are in step", most: -1, run: (*tool).audit},
		{name: "remove", arguments: "NAME|FINGERPRINT -keep none|known [-yes]", does: "removes a machine; whom it admitted goes too (none) or stays (known)", least: 1, most: 1, run: (*tool).remove,
			flags: func(f *flag.FlagSet, o *options) {
				yes(f, o)
				f.StringVar(&o.keep, "keep", "", "what becomes of those that the machine admitted: none or known")
			}},
		{name: "leave", arguments: "[-destroy] [-yes]", does: "takes this machine out of the cluster, tells the others, and destroys its private key", run: (*tool).leave,
			flags: func(f *flag.FlagSet, o *options) {
				yes(f, o)
				f.BoolVar(&o.destroy, "destroy", false, "destroy the private key also if no other member can be told")
			}},
		{name: "rotate", does: "announces a new key of this machine, which the daemon then takes", run: (*tool).rotate},
		{name: "invite", arguments: "NAME [-life 24h] [-advertise HOST:PORT,…]", does: "prints an invitation, with which the machine of that name joins without being asked about", least: 1, most: 1, run: (*tool).invite,
			flags: func(f *flag.FlagSet, o *options) {
				f.DurationVar(&o.life, "life", 0, "how long it can be used; 0: 24h")
				f.Var(&o.advertise, "advertise", "`host:port,…` that the other machine reaches this one at, if it is not what the members know")
			}},
		{name: "invitations", arguments: "[-json]", does: "the invitations that this machine made, and what became of them", run: (*tool).invitations, flags: asJSON},
		{name: "revoke", arguments: "ID", does: "takes an invitation back", least: 1, most: 1, run: (*tool).revoke},
		{name: "export", arguments: "FILE", does: "writes all statements into a new file", least: 1, most: 1, run: (*tool).export},
		{name: "member-files", arguments: "DIR", does: "writes one file per member into DIR, for daemons that read such files; files of other machines go", least: 1, most: 1, run: (*tool).memberFiles},
		{name: "import", arguments: "FILE", does: "takes in the statements of such a file", least: 1, most: 1, run: (*tool).importFile},
	}
}

// parse reads the command line. Help goes to stdout, and err is flag.ErrHelp then.
func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	global := newFlags("trustctl")
	global.StringVar(&o.dir, "dir", "", "`directory` of this machine's identity and trust store")
	global.StringVar(&o.passphraseFile, "passphrase-file", "", "`file` whose first line opens the private key, if it is sealed; - is standard input")
	if err := global.Parse(args); err != nil {
		return o, usage(err, stdout, global)
	}
	if global.NArg() == 0 {
		return o, terminal.Usagef("no command; see -h")
	}
	for _, c := range commands() {
		if c.name == global.Arg(0) {
			o.command = c
		}
	}
	if o.command.run == nil {
		return o, terminal.Usagef("there is no command %q; see -h", global.Arg(0))
	}
	flags := newFlags(o.command.name)
	if o.command.flags != nil {
		o.command.flags(flags, &o)
	}
	for rest := global.Args()[1:]; len(rest) > 0; { // flags may stand before and behind arguments
		if err := flags.Parse(rest); err != nil {
			return o, usage(err, stdout, global)
		}
		if rest = flags.Args(); len(rest) > 0 {
			o.args, rest = append(o.args, rest[0]), rest[1:]
		}
	}
	return o, o.check()
}

func (o options) check() error {
	c := o.command
	switch {
	case len(o.args) < c.least || c.most >= 0 && len(o.args) > c.most:
		return terminal.Usagef("usage: trustctl -dir DIR %s %s", c.name, c.arguments)
	case o.dir == "" && (c.name != "verify" || len(o.args) == 0):
		return terminal.Usagef("-dir is required, before the command; see -h")
	case c.name == "remove" && o.keep != "none" && o.keep != "known":
		return terminal.Usagef("-keep is required: none (whom the machine admitted goes too) or known (they stay)")
	case o.passphraseFile == "-" && !o.yes && (c.name == "remove" || c.name == "leave"):
		return terminal.Usagef("-passphrase-file - leaves no standard input for the question; use -yes too, or a file")
	}
	return nil
}

func newFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	return flags
}

// usage turns an error of the flags into one of this program, after showing help if that was asked for.
func usage(err error, stdout io.Writer, global *flag.FlagSet) error {
	if err != flag.ErrHelp {
		return &terminal.UsageError{Err: err}
	}
	fmt.Fprintln(stdout, purpose)
	for _, c := range commands() {
		fmt.Fprintf(stdout, "  %s\n        %s\n", strings.TrimSpace(c.name+" "+c.arguments), c.does)
		own := newFlags(c.name)
		if c.flags != nil {
			c.flags(own, new(options))
		}
		own.VisitAll(func(f *flag.Flag) { fmt.Fprintf(stdout, "        -%s: %s\n", f.Name, f.Usage) })
	}
	fmt.Fprint(stdout, "\nflags:\n")
	global.SetOutput(stdout)
	global.PrintDefaults()
	fmt.Fprint(stdout, "\nexit codes:\n")
	for _, m := range codeMeanings() {
		fmt.Fprintf(stdout, "  %3d  %s\n", m.code, m.text)
	}
	return err
}
