package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	sample      int
	seed        uint64
	room        string
	model       bool
	list, write bool
	verbose     bool
	names       []string
	root        string
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.IntVar(&o.sample, "sample", 0, "try so many, chosen by the seed; 0 means all")
	flags.Uint64Var(&o.seed, "seed", 0, "chooses the sample; 0 means another one each time")
	flags.StringVar(&o.room, "room", "", "take the mutants of one list")
	flags.BoolVar(&o.model, "model", false, "try the negative models: run the tests in "+modelDir+", and no others")
	flags.BoolVar(&o.list, "list", false, "print the mutants and try none")
	flags.BoolVar(&o.write, "write", false, "write "+document+" and try none")
	flags.BoolVar(&o.verbose, "v", false, "print what the tests print")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o.names = flags.Args()
	if o.seed == 0 {
		o.seed = uint64(time.Now().UnixNano())
	}
	var err error
	o.root, err = filepath.Abs(".")
	return o, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	mutants, err := loadLists(os.DirFS(filepath.Join(o.root, listFolder)))
	if err != nil {
		return err
	}
	if len(mutants) == 0 {
		return errors.New("mutants: no lists in " + listFolder + ": start it at the top of the repository")
	}
	if o.write {
		return os.WriteFile(filepath.Join(o.root, document), []byte(render(mutants)), 0o644)
	}
	mutants, err = o.choose(forModel(mutants, o.model))
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range mutants {
			fmt.Fprintf(out, "%s: %s\n", m.Name, m.Text)
		}
		return nil
	}
	if o.sample > 0 {
		fmt.Fprintf(out, "seed %d\n", o.seed)
	}
	return tryAll(ctx, o, mutants, out)
}

// choose returns the mutants that are to be tried.
func (o options) choose(mutants []Mutant) ([]Mutant, error) {
	if o.room != "" {
		mutants = slices.DeleteFunc(mutants, func(m Mutant) bool { return !strings.HasPrefix(m.Name, o.room+"/") })
	}
	if len(o.names) > 0 {
		for _, name := range o.names {
			if !slices.ContainsFunc(mutants, func(m Mutant) bool { return m.Name == name }) {
				return nil, fmt.Errorf("mutants: none is called %s; -list prints the names", name)
			}
		}
		mutants = slices.DeleteFunc(mutants, func(m Mutant) bool { return !slices.Contains(o.names, m.Name) })
	}
	if o.sample > 0 && o.sample < len(mutants) {
		dice := rand.New(rand.NewPCG(o.seed, 0))
		dice.Shuffle(len(mutants), func(i, j int) { mutants[i], mutants[j] = mutants[j], mutants[i] })
		mutants = mutants[:o.sample]
	}
	if len(mutants) == 0 {
		return nil, errors.New("mutants: none is chosen")
	}
	return mutants, nil
}

// tryAll tries one mutant after the other in a copy of the repository, prints what became of each, and counts.
func tryAll(ctx context.Context, o options, mutants []Mutant, out io.Writer) error {
	root, err := copyTree(o.root)
	defer os.RemoveAll(root)
	if err != nil {
		return err
	}
	if err := passBefore(ctx, root, mutants); err != nil {
		return err
	}
	counts := map[verdict]int{}
	for _, m := range mutants {
		started := time.Now()
		found, err := try(ctx, root, m)
		if err != nil {
			return err
		}
		counts[found.verdict]++
		fmt.Fprintf(out, "%-16s %s: %s (%.1f s)\n", found.verdict, m.Name, found.detail, time.Since(started).Seconds())
		if o.verbose || found.verdict == doesNotCompile {
			fmt.Fprintln(out, found.output)
		}
	}
	fmt.Fprintf(out, "%d mutants: %d caught, %d survived, %d did not apply, %d did not compile, %d ran out of time\n", len(mutants),
		counts[caught], counts[survived], counts[doesNotApply], counts[doesNotCompile], counts[ranOutOfTime])
	if counts[caught] != len(mutants) {
		return errors.New("mutants: not all were caught")
	}
	return nil
}
