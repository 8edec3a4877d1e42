package terminal

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/microtrust/microtrust/certstore"
)

// Main runs a program until it is done, or until the context ends because somebody interrupts it, and exits with the code that
// it returns. A second Ctrl-C ends it at once.
func Main(run func(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Machine is what the command line of every program that joins machines says about this one.
type Machine struct {
	Dir              string // of its identity and trust store
	Name             string // in the cluster
	Picture          bool   // fingerprints are shown as pictures too
	JSON             bool   // events are printed, and nothing is asked
	PrintFingerprint bool   // that is all there is to do
}

// Flags adds the flags to those of a program.
func (m *Machine) Flags(flags *flag.FlagSet) {
	flags.StringVar(&m.Dir, "dir", "", "`directory` of this machine's identity and trust store; made if it does not exist")
	flags.StringVar(&m.Name, "name", HostName(), "`name` of this machine in the cluster")
	flags.BoolVar(&m.Picture, "picture", false, "show fingerprints as pictures too")
	flags.BoolVar(&m.JSON, "json", false, "print one event per line, in JSON, and ask nothing")
	flags.BoolVar(&m.PrintFingerprint, "print-fingerprint", false, "print this machine's fingerprint in full and exit")
}

// Check returns a *UsageError if directory or name is missing or wrong.
func (m *Machine) Check() error {
	if m.Dir == "" {
		return Usagef("-dir is required; see -h")
	}
	if err := certstore.CheckName(m.Name); err != nil {
		return Usagef("-name: %w", err)
	}
	return nil
}

// Screen returns the screen that the program writes to.
func (m *Machine) Screen(stdout io.Writer) *Screen {
	return NewScreen(stdout, m.JSON && !m.PrintFingerprint)
}

// Identity opens or makes the identity of the machine. It is nil, without an error, if its fingerprint was all that was wanted;
// that is on stdout then.
func (m *Machine) Identity(stdout io.Writer) (*certstore.Identity, error) {
	id, err := certstore.LoadOrCreateIdentity(m.Dir, certstore.IdentityConfig{Name: m.Name})
	if err != nil {
		return nil, &UsageError{Err: err}
	}
	if m.PrintFingerprint {
		_, err := fmt.Fprintln(stdout, id.Fingerprint())
		return nil, err
	}
	return id, nil
}
