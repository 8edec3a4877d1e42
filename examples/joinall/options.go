package main

import (
	"flag"
	"io"
	"net/netip"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

const purpose = `joinall makes one cluster of the machines that a file names. Run it on each of them, with the same file.

  joinall -config FILE -dir DIR -name NAME`

// options are what the command line says.
type options struct {
	config           string
	dir, name        string
	listen           string
	services         terminal.Pairs // nil: those of the file
	picture          bool
	json             bool
	printFingerprint bool
}

// parse reads the command line. Help goes to stdout, and err is flag.ErrHelp then.
func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("joinall", flag.ContinueOnError)
	flags.StringVar(&o.config, "config", "", "`file` that names all machines, the same on each")
	flags.StringVar(&o.dir, "dir", "", "`directory` of this machine's identity and trust store; made if it does not exist")
	flags.StringVar(&o.name, "name", terminal.HostName(), "`name` of this machine in the file")
	flags.StringVar(&o.listen, "listen", "", "IP `address:port` to serve on; none: the one that the file has for this machine")
	flags.Func("services", "`name=version,…` of the services of this machine; none: those of the file", func(text string) error {
		if o.services == nil {
			o.services = terminal.Pairs{}
		}
		return o.services.Set(text)
	})
	flags.BoolVar(&o.picture, "picture", false, "show fingerprints as pictures too")
	flags.BoolVar(&o.json, "json", false, "print one event per line, in JSON")
	flags.BoolVar(&o.printFingerprint, "print-fingerprint", false, "print this machine's fingerprint in full and exit")
	if err := terminal.Parse(flags, args, stdout, purpose, false); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	switch {
	case o.dir == "":
		return terminal.Usagef("-dir is required; see -h")
	case certstore.CheckName(o.name) != nil:
		return terminal.Usagef("-name: %w", certstore.CheckName(o.name))
	case o.printFingerprint:
		return nil
	case o.config == "":
		return terminal.Usagef("-config is required; see -h")
	case o.listen != "":
		if _, err := netip.ParseAddrPort(o.listen); err != nil {
			return terminal.Usagef("-listen: %q is not an IP address and a port", o.listen)
		}
	}
	return nil
}
