package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
)

// Who answers a search proves nothing. What is chosen here is only where to try: passphrase and fingerprint decide, as if the
// address had been typed.

const (
	// searchTime is how long a server of a given name may take to answer, if -wait gives it no longer.
	searchTime = 5 * time.Second
	// settleTime is how long, after the first answer, others may answer under that name too.
	settleTime = 2 * time.Second
)

// finder searches the network for machines that let others in.
type finder struct {
	options
	screen  *terminal.Screen
	input   *terminal.Input
	network string // the interface
	results func(context.Context) iter.Seq2[discovery.Found, error]

	listed []discovery.Found
}

// servers returns where to join: what the command line says, or what a search gave. Several addresses are to be tried in order.
func servers(ctx context.Context, o options, screen *terminal.Screen, input *terminal.Input) ([]string, error) {
	if o.server != "" {
		return []string{o.server}, nil
	}
	f := &finder{options: o, screen: screen, input: input}
	var err error
	if f.network, err = network(o.network, discovery.Interfaces); err != nil {
		return nil, err
	}
	search, err := discovery.NewSearch(discovery.SearchConfig{Interface: f.network, Legacy: o.microCloud})
	if err != nil {
		return nil, &terminal.UsageError{Err: err}
	}
	f.results = search.Results
	return f.servers(ctx)
}

func (f *finder) servers(ctx context.Context) ([]string, error) {
	if f.find != "" {
		return f.named(ctx)
	}
	for {
		found, err := f.choose(ctx)
		if !errors.Is(err, errAgain) {
			return found.Addresses, err
		}
	}
}

// network returns the interface on which to search: the given one, or the one that there is.
func network(given string, interfaces func() ([]string, error)) (string, error) {
	if given != "" {
		return given, nil
	}
	names, err := interfaces()
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", terminal.Usagef("no network interface is up on which the server could be searched; give -server")
	case len(names) > 1:
		return "", terminal.Usagef("this machine is in several networks; give -interface with one of %s, or -server", strings.Join(names, ", "))
	}
	return names[0], nil
}

// add lists what answered, unless it is listed, since most machines answer over IPv4 and IPv6, or speaks another protocol than the
// one to join with: that is never changed by what was found.
func (f *finder) add(found discovery.Found) (added bool) {
	if older := found.Protocol == discovery.ProtocolLegacy; older != f.microCloud {
		return false
	}
	same := func(other discovery.Found) bool {
		return other.Name == found.Name && other.Protocol == found.Protocol && slices.Equal(other.Addresses, found.Addresses)
	}
	if slices.ContainsFunc(f.listed, same) {
		return false
	}
	f.listed = append(f.listed, found)
	f.screen.Event(terminal.Event{
		Event: "found", Name: found.Name, Addresses: found.Addresses, Protocol: found.Protocol, Source: found.Source.String(),
	})
	return true
}

// named returns the addresses of whoever answers as -find says. Several machines may. They are told apart by the fingerprint, if
// it is known: then all of them are to be tried, since nothing is sent to another machine than that one.
func (f *finder) named(ctx context.Context) ([]string, error) {
	waiting := f.screen.Wait("searching for " + f.find + " on " + f.network)
	defer waiting.Stop()
	f.screen.Event(terminal.Event{Event: "searching", Name: f.find})
	searching, stop := context.WithCancel(ctx)
	defer stop()
	timer := time.AfterFunc(max(searchTime, f.wait), stop)
	defer timer.Stop()
	var addresses []string
	answers := 0
	for found, err := range f.results(searching) {
		if err != nil {
			return nil, &terminal.UsageError{Err: err}
		}
		if !f.add(found) || found.Name != f.find {
			continue
		}
		if answers++; answers == 1 {
			timer.Reset(settleTime)
		}
		addresses = append(addresses, found.Addresses...)
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case answers == 0:
		return nil, fmt.Errorf("%w: nobody on %s answers as %s; open a session there with joinserver -interface, or give -server",
			trust.ErrUnreachable, f.network, f.find)
	case answers > 1 && f.fingerprint.IsZero():
		return nil, terminal.Usagef("%d machines on %s answer as %s, at %s; give -fingerprint, or with -server the one that is meant",
			answers, f.network, f.find, strings.Join(addresses, ", "))
	}
	return addresses, nil
}

// errAgain says that the person wants another search.
var errAgain = errors.New("search again")

// answered is one step of a search.
type answered struct {
	found discovery.Found
	err   error
}

// choose shows everybody who answers, until the person chooses one. The error is errAgain if she wants a new list.
func (f *finder) choose(ctx context.Context) (discovery.Found, error) {
	searching, stop := context.WithCancel(ctx)
	answers := make(chan answered)
	go func() {
		defer close(answers)
		for found, err := range f.results(searching) {
			select {
			case answers <- answered{found, err}:
			case <-searching.Done():
			}
		}
	}()
	defer func() {
		stop()
		for range answers { // until the goroutine has ended
		}
	}()
	waiting := f.screen.Wait("searching on " + f.network)
	defer waiting.Stop()
	f.listed = nil
	var lines <-chan terminal.Line
	var asked time.Time
	for {
		select {
		case a, ok := <-answers:
			switch {
			case ctx.Err() != nil || !ok:
				f.screen.Answered(false)
				return discovery.Found{}, context.Cause(ctx)
			case a.err != nil:
				return discovery.Found{}, &terminal.UsageError{Err: a.err}
			}
			f.show(a.found)
			if lines == nil && len(f.listed) > 0 {
				waiting.For("searching for more on " + f.network)
				lines, asked = f.input.Lines(), f.ask()
			}
		case line, ok := <-lines:
			f.screen.Answered(ok)
			if !ok {
				return discovery.Found{}, &terminal.UsageError{Err: terminal.ErrNoAnswer}
			}
			if f.input.Answers(line, asked) {
				if found, err := f.take(line.Text); err == nil || errors.Is(err, errAgain) {
					return found, err
				}
			}
			asked = f.ask()
		}
	}
}

func (f *finder) ask() time.Time {
	return f.screen.Ask("Which one? [number, or Enter to search again] ")
}

// show adds what answered to the list on the screen.
func (f *finder) show(found discovery.Found) {
	claimed := slices.ContainsFunc(f.listed, func(other discovery.Found) bool { return other.Name == found.Name })
	if !f.add(found) {
		return
	}
	var lines []string
	if len(f.listed) == 1 {
		lines = append(lines, "These say on "+f.network+" that they let others in. The passphrase and the fingerprint will show who they are.")
	}
	lines = append(lines, fmt.Sprintf("  %-3d %-16s %s   %s, from %s",
		len(f.listed), found.Name, strings.Join(found.Addresses, ", "), found.Protocol, found.Source))
	if claimed {
		lines = append(lines, "      Beware: another one on this list is called "+found.Name+" too.")
	}
	f.screen.Lines(lines...)
}

// take returns what the person chose.
func (f *finder) take(text string) (discovery.Found, error) {
	if text == "" {
		return discovery.Found{}, errAgain
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > len(f.listed) {
		f.screen.Linef("There is no %q on the list.", text)
		return discovery.Found{}, terminal.ErrNoAnswer
	}
	return f.listed[n-1], nil
}
