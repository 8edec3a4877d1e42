package client

import (
	"errors"
	"flag"
	"io"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

const purpose = `joinclient makes this machine a member of a cluster. On a machine of the cluster, joinserver shows a passphrase.

  joinclient -dir DIR -name NAME -server HOST:PORT
  joinclient -dir DIR -name NAME                    searches for joinserver -interface on the network
  joinclient -dir DIR -name NAME -invitation FILE
  joinclient -dir DIR -name NAME -server HOST:PORT -microcloud -listen ADDRESS:PORT`

// options are what the command line says.
type options struct {
	terminal.Machine
	server          string
	network, find   string
	advertise       terminal.Addresses
	passphraseFile  string
	invitationFile  string
	hidden          bool
	fingerprint     certstore.Fingerprint
	skipFingerprint bool
	microCloud      bool
	listen          string
	foundCluster    bool
	services        terminal.Pairs
	attributes      terminal.Pairs
	wait, timeout   time.Duration
}

// parse reads the command line. Help goes to stdout, and err is flag.ErrHelp then.
func parse(args []string, stdout io.Writer) (options, error) {
	o := options{services: terminal.Pairs{}, attributes: terminal.Pairs{}}
	flags := flag.NewFlagSet("joinclient", flag.ContinueOnError)
	o.Flags(flags)
	flags.StringVar(&o.server, "server", "", "`host:port` of the machine that runs joinserver; none: search on the network")
	flags.StringVar(&o.network, "interface", "", "network `interface` on which to search; none: the only one that this machine has")
	flags.StringVar(&o.find, "find", "", "`name` of the server to take from the search, instead of choosing from a list")
	flags.Var(&o.advertise, "advertise", "`host:port,…` where this machine will serve members; none: it will not")
	flags.StringVar(&o.passphraseFile, "passphrase-file", "", "`file` with the passphrase; - is the first line of standard input; none: ask")
	flags.StringVar(&o.invitationFile, "invitation", "", "`file` with an invitation, which takes the place of server, passphrase and fingerprint; - is the first line of standard input")
	flags.BoolVar(&o.hidden, "hidden", false, "do not show the passphrase while it is typed")
	flags.Func("fingerprint", "`fingerprint` of the server in full, compared by program instead of asking", func(text string) (err error) {
		o.fingerprint, err = certstore.ParseFingerprint(text)
		if err == nil && o.fingerprint.IsZero() {
			err = errors.New("no certificate has this fingerprint")
		}
		if errors.Is(err, certstore.ErrHash) {
			err = errors.New("want it in full, 64 lower-case hexadecimal digits, as joinserver -print-fingerprint prints it")
		}
		return err
	})
	flags.BoolVar(&o.skipFingerprint, "insecure-skip-fingerprint", false, "do not compare the server's fingerprint: the passphrase alone decides")
	flags.BoolVar(&o.microCloud, "microcloud", false, "join in the format MicroCloud-1.0, with the passphrase that the server shows for it")
	flags.StringVar(&o.listen, "listen", "", "with -microcloud, IP `address:port` where this machine waits for the server's confirmation")
	flags.BoolVar(&o.foundCluster, "found-cluster", false, "with -microcloud: if the server keeps no member set of ours, begin a cluster here that it is a member of")
	flags.Var(o.services, "services", "`name=version,…` of the services of this machine")
	flags.Var(o.attributes, "attributes", "`name=value,…` to show to whoever approves")
	flags.DurationVar(&o.wait, "wait", 0, "how long to wait for the server and its session to be there, or to be found")
	flags.DurationVar(&o.timeout, "timeout", 0, "how long the whole join may take; 0: until the session ends")
	if err := terminal.Parse(flags, args, stdout, purpose, false); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	if err := o.Check(); err != nil || o.PrintFingerprint {
		return err
	}
	pinned := !o.fingerprint.IsZero()
	if o.invitationFile != "" {
		return o.checkInvitation()
	}
	switch {
	case o.server != "" && (o.network != "" || o.find != ""):
		return terminal.Usagef("-interface and -find are about searching; they do not go with -server")
	case o.find != "" && certstore.CheckName(o.find) != nil:
		return terminal.Usagef("-find: %w", certstore.CheckName(o.find))
	case o.JSON && o.server == "" && o.find == "":
		return terminal.Usagef("-json asks nothing; say with -server or -find where to join")
	case o.hidden && o.server == "" && o.find == "":
		return terminal.Usagef("-hidden hides what is typed, and the choice from a list is typed; say with -server or -find where to join")
	case o.server != "" && certstore.CheckAddress(o.server) != nil:
		return terminal.Usagef("-server: %w", certstore.CheckAddress(o.server))
	case pinned && o.skipFingerprint:
		return terminal.Usagef("-fingerprint and -insecure-skip-fingerprint exclude each other")
	case o.hidden && o.passphraseFile != "":
		return terminal.Usagef("-hidden is about typing; it does not go with -passphrase-file")
	case o.wait < 0 || o.timeout < 0:
		return terminal.Usagef("-wait and -timeout must not be negative")
	case o.JSON && o.passphraseFile == "":
		return terminal.Usagef("-json asks nothing; give -passphrase-file")
	case o.JSON && !pinned && !o.skipFingerprint:
		return terminal.Usagef("-json asks nothing; give -fingerprint (joinserver -print-fingerprint prints it)")
	}
	return o.checkMicroCloud()
}

func (o options) checkInvitation() error {
	switch {
	case o.network != "" || o.find != "" || o.passphraseFile != "" || o.hidden || !o.fingerprint.IsZero() || o.skipFingerprint || o.microCloud || o.listen != "" || o.foundCluster:
		return terminal.Usagef("-invitation says where to join, how, and what to compare; it does not go with flags about that, except -server")
	case o.server != "" && certstore.CheckAddress(o.server) != nil:
		return terminal.Usagef("-server: %w", certstore.CheckAddress(o.server))
	case o.wait < 0 || o.timeout < 0:
		return terminal.Usagef("-wait and -timeout must not be negative")
	}
	return nil
}

func (o options) checkMicroCloud() error {
	switch {
	case !o.microCloud && (o.listen != "" || o.foundCluster):
		return terminal.Usagef("-listen and -found-cluster go with -microcloud")
	case !o.microCloud:
		return nil
	case o.listen == "":
		return terminal.Usagef("-microcloud: say with -listen where this machine waits for the server's confirmation")
	case len(o.attributes) > 0:
		return terminal.Usagef("-attributes: MicroCloud-1.0 has none")
	case len(o.advertise) > 1:
		return terminal.Usagef("-advertise: MicroCloud-1.0 has room for one")
	}
	return terminal.CheckListen(o.listen, o.advertise)
}
