package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// answer is what arrives at some time after the beginning of a search.
type answer struct {
	after time.Duration
	found discovery.Found
	err   error
}

func says(name, source string, addresses ...string) discovery.Found {
	return discovery.Found{Name: name, Addresses: addresses, Protocol: discovery.Protocol, Source: netip.MustParseAddr(source)}
}

// older is an answer in the format of MicroCloud-1.0.
func older(name, source, address string) discovery.Found {
	return discovery.Found{Name: name, Addresses: []string{address}, Protocol: discovery.ProtocolLegacy, Source: netip.MustParseAddr(source)}
}

// searches returns one search after the other, each of which ends with its context like that of package discovery.
func searches(all ...[]answer) func(context.Context) iter.Seq2[discovery.Found, error] {
	return func(ctx context.Context) iter.Seq2[discovery.Found, error] {
		answers := all[0]
		all = all[1:]
		return func(yield func(discovery.Found, error) bool) {
			begin := time.Now()
			for _, a := range answers {
				select {
				case <-time.After(time.Until(begin.Add(a.after))):
				case <-ctx.Done():
					return
				}
				if !yield(a.found, a.err) || a.err != nil {
					return
				}
			}
			<-ctx.Done()
		}
	}
}

func TestServerOfAName(t *testing.T) {
	down := errors.New("the interface is down")
	closing := errors.New("closing time")
	const pin = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	here, again := says("micro01", "10.0.0.1", "10.0.0.1:1", "[fd42::1]:1"), says("micro01", "fe80::1", "10.0.0.1:1", "[fd42::1]:1")
	other, impostor := says("micro02", "10.0.0.2", "10.0.0.2:1"), says("micro01", "10.0.0.3", "10.0.0.3:1")
	usage := new(*terminal.UsageError)
	rows := []struct {
		reason  string
		args    string
		answers []answer
		want    []string
		err     error // by errors.Is
		usage   string
		seconds time.Duration
	}{
		{reason: "nobody", err: trust.ErrUnreachable, seconds: 5},
		{reason: "nobody of that name", answers: []answer{{0, other, nil}}, err: trust.ErrUnreachable, seconds: 5},
		{reason: "too late", answers: []answer{{6 * time.Second, here, nil}}, err: trust.ErrUnreachable, seconds: 5},
		{reason: "with patience", args: "-wait 1m", answers: []answer{{50 * time.Second, here, nil}}, want: here.Addresses, seconds: 52},
		{reason: "one", answers: []answer{{0, other, nil}, {time.Second, here, nil}}, want: here.Addresses, seconds: 3},
		{reason: "over both families", answers: []answer{{0, here, nil}, {0, again, nil}}, want: here.Addresses, seconds: 2},
		{reason: "two", answers: []answer{{0, here, nil}, {time.Second, impostor, nil}}, usage: "2 machines on eth0 answer as micro01, at 10.0.0.1:1, [fd42::1]:1, 10.0.0.3:1", seconds: 2},
		{reason: "two, one of which will be known", args: "-fingerprint " + pin, answers: []answer{{0, impostor, nil}, {time.Second, here, nil}}, want: []string{"10.0.0.3:1", "10.0.0.1:1", "[fd42::1]:1"}, seconds: 2},
		{reason: "only one of the older format", answers: []answer{{0, older("micro01", "10.0.0.1", "10.0.0.1:1"), nil}}, err: trust.ErrUnreachable, seconds: 5},
		{reason: "none of the older format", args: "-microcloud -listen 10.0.0.9:1", answers: []answer{{0, here, nil}}, err: trust.ErrUnreachable, seconds: 5},
		{reason: "the older format", args: "-microcloud -listen 10.0.0.9:1", answers: []answer{{0, here, nil}, {0, older("micro01", "10.0.0.3", "10.0.0.3:1"), nil}}, want: []string{"10.0.0.3:1"}, seconds: 2},
		{reason: "no network", answers: []answer{{err: down}}, err: down, usage: "down"},
		{reason: "interrupted", answers: []answer{{0, here, nil}}, err: closing, seconds: 1},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if row.err == closing {
					time.AfterFunc(time.Second, func() { cancel(closing) })
				}
				begin := time.Now()
				var screen bytes.Buffer
				got, err := client.Search(ctx, strings.Fields("-dir x -name micro09 -find micro01 "+row.args), strings.NewReader(""), &screen, searches(row.answers))
				require.Equal(t, row.seconds*time.Second, time.Since(begin))
				if row.want != nil {
					require.NoError(t, err)
				} else if row.err != nil {
					require.ErrorIs(t, err, row.err)
				}
				require.Equal(t, row.want, got)
				require.Equal(t, row.usage != "", errors.As(err, usage), "%v", err)
				if row.usage != "" {
					require.ErrorContains(t, err, row.usage)
				}
			})
		})
	}
}

// TestAnswersAreEvents: a script that searches learns who answered, and how.
func TestAnswersAreEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		found := says("micro01", "fe80::1%eth0", "10.0.0.1:1", "[fd42::1]:1")
		args := strings.Fields("-dir x -name micro09 -find micro01 -json -passphrase-file x -insecure-skip-fingerprint")
		_, err := client.Search(t.Context(), args, strings.NewReader(""), &screen, searches([]answer{{0, found, nil}, {0, found, nil}}))
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSpace(screen.String()), "\n")
		require.Len(t, lines, 2)
		require.Regexp(t, `^{"event":"searching","time":"[^"]+","name":"micro01"}$`, lines[0])
		require.Regexp(t, `^{"event":"found","time":"[^"]+","name":"micro01","addresses":\["10.0.0.1:1","\[fd42::1\]:1"\],"protocol":"microtrust/2","source":"fe80::1%eth0"}$`, lines[1])
	})
}

// person types an answer whenever everything else waits.
func person(t *testing.T, ctx context.Context, screen *bytes.Buffer, typed []string, searches func(context.Context) iter.Seq2[discovery.Found, error]) (got []string, unread int, err error) {
	t.Helper()
	stdin, keyboard := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		got, err = client.Search(ctx, strings.Fields("-dir x -name micro09"), stdin, screen, searches)
		stdin.Close()
	}()
	for i, line := range typed {
		synctest.Wait() // until everybody waits
		if line == "EOF" {
			keyboard.Close()
		} else if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
			unread = len(typed) - i
			break
		}
	}
	<-ended
	keyboard.Close()
	return got, unread, err
}

func TestPersonChooses(t *testing.T) {
	down, closing := errors.New("the interface is down"), errors.New("closing time")
	first, again := says("micro01", "10.0.0.1", "10.0.0.1:1", "[fd42::1]:1"), says("micro01", "fe80::1", "10.0.0.1:1", "[fd42::1]:1")
	second, impostor := says("micro02", "10.0.0.2", "10.0.0.2:1"), says("micro01", "10.0.0.3", "10.0.0.3:1")
	const list = "These say on eth0 that they let others in. The passphrase and the fingerprint will show who they are.\n"
	const ask = "Which one? [number, or Enter to search again] \n"
	rows := []struct {
		reason   string
		searches [][]answer
		typed    string // separated by commas
		want     []string
		err      error
		screen   string
	}{
		{
			"the first", [][]answer{{{0, first, nil}, {0, again, nil}}}, "1", first.Addresses, nil,
			list + "  1   micro01          10.0.0.1:1, [fd42::1]:1   microtrust/2, from 10.0.0.1\n" + ask,
		},
		{
			"one that comes later", [][]answer{{{0, first, nil}, {0, second, nil}}}, "2", second.Addresses, nil,
			list + "  1   micro01          10.0.0.1:1, [fd42::1]:1   microtrust/2, from 10.0.0.1\n" + ask +
				"  2   micro02          10.0.0.2:1   microtrust/2, from 10.0.0.2\n",
		},
		{
			"one of two of a name", [][]answer{{{0, impostor, nil}, {0, first, nil}}}, "2", first.Addresses, nil,
			list + "  1   micro01          10.0.0.3:1   microtrust/2, from 10.0.0.3\n" + ask +
				"  2   micro01          10.0.0.1:1, [fd42::1]:1   microtrust/2, from 10.0.0.1\n" +
				"      Beware: another one on this list is called micro01 too.\n",
		},
		{
			"what is not on the list", [][]answer{{{0, second, nil}}}, "0,2,-1,one,1", second.Addresses, nil,
			list + "  1   micro02          10.0.0.2:1   microtrust/2, from 10.0.0.2\n" + ask +
				"There is no \"0\" on the list.\n" + ask + "There is no \"2\" on the list.\n" + ask + "There is no \"-1\" on the list.\n" + ask +
				"There is no \"one\" on the list.\n" + ask,
		},
		{
			"of a second search", [][]answer{{{0, impostor, nil}}, {{0, second, nil}}}, ",1", second.Addresses, nil,
			list + "  1   micro01          10.0.0.3:1   microtrust/2, from 10.0.0.3\n" + ask +
				list + "  1   micro02          10.0.0.2:1   microtrust/2, from 10.0.0.2\n" + ask,
		},
		{
			"nobody answers the keyboard", [][]answer{{{0, second, nil}}}, "EOF", nil, terminal.ErrNoAnswer,
			list + "  1   micro02          10.0.0.2:1   microtrust/2, from 10.0.0.2\n" + ask,
		},
		{"only one of the older format", [][]answer{{{0, older("micro01", "10.0.0.1", "10.0.0.1:1"), nil}}}, "", nil, closing, "still searching on eth0, 5 s\nstill searching on eth0, 10 s\n"},
		{"nobody answers", [][]answer{{}}, "", nil, closing, "still searching on eth0, 5 s\nstill searching on eth0, 10 s\n"},
		{
			"no network any more", [][]answer{{{0, second, nil}, {time.Second, discovery.Found{}, down}}}, "", nil, down,
			list + "  1   micro02          10.0.0.2:1   microtrust/2, from 10.0.0.2\n" + ask,
		},
	}
	for _, row := range rows {
		t.Run(row.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				time.AfterFunc(12*time.Second, func() { cancel(closing) })
				var typed []string
				if row.err == nil || row.typed != "" {
					typed = strings.Split(row.typed, ",")
				}
				var screen bytes.Buffer
				got, unread, err := person(t, ctx, &screen, typed, searches(row.searches...))
				require.ErrorIs(t, err, row.err)
				require.Equal(t, row.want, got)
				require.Equal(t, row.screen, screen.String())
				require.Zero(t, unread)
				require.Equal(t, row.err == down || row.err == terminal.ErrNoAnswer, errors.As(err, new(*terminal.UsageError)))
			})
		})
	}
}

// TestWhereToSearch: the only network is meant when none is named; of several one has to be.
func TestWhereToSearch(t *testing.T) {
	broken := errors.New("no list of interfaces")
	rows := []struct {
		given string
		names []string
		err   error
		want  string
		usage string
	}{
		{"eth5", []string{"eth0"}, nil, "eth5", ""},
		{"", []string{"eth0"}, nil, "eth0", ""},
		{"", nil, nil, "", "no network interface is up"},
		{"", []string{"eth0", "wlan0"}, nil, "", "-interface with one of eth0, wlan0"},
		{"", nil, broken, "", ""},
	}
	for _, row := range rows {
		got, err := client.Network(row.given, func() ([]string, error) { return row.names, row.err })
		require.Equal(t, row.want, got)
		require.Equal(t, row.want == "", err != nil)
		if row.err != nil {
			require.ErrorIs(t, err, row.err)
		}
		require.Equal(t, row.usage != "", errors.As(err, new(*terminal.UsageError)), fmt.Sprint(row))
		if row.usage != "" {
			require.ErrorContains(t, err, row.usage)
		}
	}
}
