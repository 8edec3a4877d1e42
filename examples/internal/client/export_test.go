package client

import (
	"context"
	"io"
	"iter"

	"github.com/microtrust/microtrust/discovery"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

// Search is servers with answers that a test makes.
func Search(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer, results func(context.Context) iter.Seq2[discovery.Found, error]) ([]string, error) {
	o, err := parse(args, stdout)
	if err != nil {
		return nil, err
	}
	input := terminal.NewInput(stdin)
	defer input.Close()
	f := &finder{options: o, screen: terminal.NewScreen(stdout, o.JSON), input: input, network: "eth0", results: results}
	return f.servers(ctx)
}

// InOrder tries addresses.
var InOrder = inOrder

// Network is the interface on which to search.
var Network = network

// JoinSoon is a join with one of several servers.
var JoinSoon = joinSoon
