package server

import (
	"flag"
	"io"
	"time"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
)

const purpose = `joinserver lets machines into the cluster of this machine. If this machine is in none, it founds one.

  joinserver -dir DIR -name NAME -listen ADDRESS:PORT`

// options are what the command line says.
type options struct {
	terminal.Machine
	listen         string
	advertise      terminal.Addresses
	interfaces     terminal.List
	timeout        time.Duration
	passphraseFile string
	words          int
	accept, want   terminal.Peers
	services       terminal.Pairs
	exitWhen       int
	once           bool
	noSession      bool
	microCloud     bool
	microCloudFile string
	log, metrics   string
}

// parse reads the command line. Help goes to stdout, and err is flag.ErrHelp then.
func parse(args []string, stdout io.Writer) (options, error) {
	o := options{services: terminal.Pairs{}}
	flags := flag.NewFlagSet("joinserver", flag.ContinueOnError)
	o.Flags(flags)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:9443", "IP `address:port` to serve on")
	flags.Var(&o.advertise, "advertise", "`host:port,…` that others reach this machine at, if it is not that of -listen")
	flags.Var(&o.interfaces, "interface", "network `interface,…` on which joinclient finds this machine while the session is open")
	flags.DurationVar(&o.timeout, "timeout", session.DefaultTimeout, "how long the session lasts, at most 60m")
	flags.StringVar(&o.passphraseFile, "passphrase-file", "", "`file` with a passphrase agreed on beforehand; - is the first line of standard input; none: generate one")
	flags.IntVar(&o.words, "words", 0, "`number` of words of a generated passphrase; 0: four")
	flags.Var(&o.accept, "accept", "`name,…` (or full fingerprints) to approve without asking; all others are denied")
	flags.Var(&o.want, "want", "`name,…` (or full fingerprints) that may join at all; when all of them have, the session ends")
	flags.Var(o.services, "services", "`name=version,…` that every joiner must have")
	flags.IntVar(&o.exitWhen, "exit-when", 0, "end when this `number` of machines have joined; 0: stay up, serving the members")
	flags.BoolVar(&o.once, "once", false, "the same as -exit-when 1")
	flags.BoolVar(&o.noSession, "no-session", false, "let nobody in: only serve the members")
	flags.BoolVar(&o.microCloud, "microcloud", false, "let machines that speak MicroCloud-1.0 into the same session, with a passphrase of its own")
	flags.StringVar(&o.microCloudFile, "microcloud-passphrase-file", "", "with -microcloud, `file` with that passphrase; - is the next line of standard input; none: generate one")
	flags.StringVar(&o.log, "log", "", "`file` to which the log, security events included, is appended in JSON; none: no log")
	flags.StringVar(&o.metrics, "metrics", "", "loopback `address:port` on which this machine's own monitoring finds metrics, under /debug/vars; none: no metrics")
	if err := terminal.Parse(flags, args, stdout, purpose, true); err != nil {
		return o, err
	}
	if o.once && o.exitWhen == 0 {
		o.exitWhen = 1
	}
	return o, o.check()
}

func (o options) check() error {
	if err := o.Check(); err != nil || o.PrintFingerprint {
		return err
	}
	switch {
	case o.timeout <= 0 || o.timeout > session.MaxTimeout:
		return terminal.Usagef("-timeout: must be positive and at most %s", session.MaxTimeout)
	case o.exitWhen < 0 || o.exitWhen > session.MaxJoiners:
		return terminal.Usagef("-exit-when: must be from 1 to %d", session.MaxJoiners)
	case o.once && o.exitWhen != 1:
		return terminal.Usagef("-once and -exit-when exclude each other")
	case len(o.want.Names) > 0 && len(o.want.Fingerprints) > 0:
		return terminal.Usagef("-want: either names or fingerprints, not both")
	case o.noSession && (o.exitWhen > 0 || o.passphraseFile != "" || o.words != 0 || !o.accept.Empty() || !o.want.Empty() || len(o.services) > 0 || len(o.interfaces) > 0 || o.microCloud):
		return terminal.Usagef("-no-session does not go with flags that are about a session")
	case o.JSON && o.accept.Empty() && !o.noSession:
		return terminal.Usagef("-json asks nothing; say with -accept who is approved")
	case o.microCloudFile != "" && !o.microCloud:
		return terminal.Usagef("-microcloud-passphrase-file goes with -microcloud")
	case o.words != 0 && o.passphraseFile != "":
		return terminal.Usagef("-words is about generating; it does not go with -passphrase-file")
	}
	return terminal.CheckListen(o.listen, o.advertise)
}
