package terminal

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/microtrust/microtrust/certstore"
)

// Pairs is a flag of the form name=value,name=value that may be repeated.
type Pairs map[string]string

// String implements flag.Value.
func (p Pairs) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		parts = append(parts, name+"="+p[name])
	}
	return strings.Join(parts, ",")
}

// Set implements flag.Value.
func (p Pairs) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || name == "" {
			return fmt.Errorf("%q is not of the form name=value", part)
		}
		if _, twice := p[name]; twice {
			return fmt.Errorf("%q is given twice", name)
		}
		p[name] = value
	}
	return nil
}

// Peers is a flag that lists names and full fingerprints, with commas between them; it may be repeated.
type Peers struct {
	Names        []string                // host names
	Fingerprints []certstore.Fingerprint // of certificates
}

// String implements flag.Value.
func (p *Peers) String() string {
	all := slices.Clone(p.Names)
	for _, f := range p.Fingerprints {
		all = append(all, f.String())
	}
	return strings.Join(all, ",")
}

// Set implements flag.Value.
func (p *Peers) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if f, err := certstore.ParseFingerprint(part); err == nil {
			p.Fingerprints = append(p.Fingerprints, f)
			continue
		}
		if err := certstore.CheckName(part); err != nil {
			return fmt.Errorf("%q is neither a name nor a full fingerprint", part)
		}
		p.Names = append(p.Names, part)
	}
	return nil
}

// Empty reports whether nothing is listed.
func (p *Peers) Empty() bool { return len(p.Names)+len(p.Fingerprints) == 0 }

// Lists reports whether the name or the fingerprint is listed.
func (p *Peers) Lists(name string, f certstore.Fingerprint) bool {
	return slices.Contains(p.Names, name) || slices.Contains(p.Fingerprints, f)
}

// List is a flag that lists words, with commas between them; it may be repeated.
type List []string

// String implements flag.Value.
func (l *List) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *List) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" || slices.Contains(*l, part) {
			return fmt.Errorf("%q is empty or given twice", part)
		}
		*l = append(*l, part)
	}
	return nil
}

// Addresses is a flag that lists host:port addresses, with commas between them; it may be repeated.
type Addresses []string

// String implements flag.Value.
func (a *Addresses) String() string { return strings.Join(*a, ",") }

// Set implements flag.Value.
func (a *Addresses) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if err := certstore.CheckAddress(part); err != nil {
			return err
		}
		*a = append(*a, part)
	}
	return nil
}

// CheckListen checks the flags -listen and -advertise: others must be able to dial what they are told.
func CheckListen(listen string, advertise Addresses) error {
	addr, err := netip.ParseAddrPort(listen)
	switch {
	case err != nil:
		return Usagef("-listen: %q is not an IP address and a port", listen)
	case addr.Addr().IsUnspecified() && len(advertise) == 0:
		return Usagef("-listen: with %s, say with -advertise where others reach this machine", addr.Addr())
	}
	return nil
}

// HostName returns the name of this machine if it can be a member's, and otherwise nothing.
func HostName() string {
	name, err := os.Hostname()
	name = strings.ToLower(name)
	if err != nil || certstore.CheckName(name) != nil {
		return ""
	}
	return name
}

// Parse reads the command line of a program that takes no arguments. With -h it prints what the program does, its flags and the
// exit codes, of the server or of the client, to stdout, and the error is flag.ErrHelp; every other one is a *UsageError.
func Parse(flags *flag.FlagSet, args []string, stdout io.Writer, purpose string, server bool) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		help(stdout, flags, purpose, server)
		return err
	case err != nil:
		return &UsageError{Err: err}
	case flags.NArg() > 0:
		return Usagef("unexpected argument %q; see -h", flags.Arg(0))
	}
	return nil
}

func help(w io.Writer, flags *flag.FlagSet, purpose string, server bool) {
	fmt.Fprintf(w, "%s\n\nflags:\n", purpose)
	flags.SetOutput(w)
	flags.PrintDefaults()
	fmt.Fprint(w, "\nexit codes:\n")
	for _, m := range Meanings() {
		text := m.Client
		if server {
			text = m.Server
			if text == "the same" {
				text = m.Client
			}
		}
		if text != "" {
			fmt.Fprintf(w, "  %3d  %s\n", m.Code, text)
		}
	}
}
