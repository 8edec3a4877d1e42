package main

import (
	"flag"
	"io"
	"net/netip"

	"github.com/microtrust/microtrust/examples/internal/terminal"
)

const purpose = `joinall makes one cluster of the machines that a file names. Run it on each of them, with the same file.

  joinall -config FILE -dir DIR -name NAME`

// options are what the command line says.
type options struct {
	terminal.Machine
	config   string
	listen   string
	services terminal.Pairs // nil: those of the file
}

// parse reads the command line. Help goes to stdout, and err is flag.ErrHelp then.
func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("joinall", flag.ContinueOnError)
	o.Flags(flags)
	flags.StringVar(&o.config, "config", "", "`file` that names all machines, the same on each")
	flags.StringVar(&o.listen, "listen", "", "IP `address:port` to serve on; none: the one that the file has for this machine")
	flags.Func("services", "`name=version,…` of the services of this machine; none: those of the file", func(text string) error {
		if o.services == nil {
			o.services = terminal.Pairs{}
		}
		return o.services.Set(text)
	})
	if err := terminal.Parse(flags, args, stdout, purpose, false); err != nil {
		return o, err
	}
	return o, o.check()
}

func (o options) check() error {
	if err := o.Check(); err != nil || o.PrintFingerprint {
		return err
	}
	switch {
	case o.config == "":
		return terminal.Usagef("-config is required; see -h")
	case o.listen != "":
		if _, err := netip.ParseAddrPort(o.listen); err != nil {
			return terminal.Usagef("-listen: %q is not an IP address and a port", o.listen)
		}
	}
	return nil
}
