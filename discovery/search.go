package discovery

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/microtrust/microtrust/internal/contain"
	"github.com/microtrust/microtrust/ratelimit"
)

const (
	// DefaultEvery is how often a search asks.
	DefaultEvery = time.Second
	// DefaultMaxFound bounds the results of a search.
	DefaultMaxFound = 256

	minEvery       = 100 * time.Millisecond
	maxMaxFound    = 4096
	foundPerSource = 8
	rounds         = 4 // how many questions back an answer may come late

	// Answers per second: every machine answers once a question, over each family.
	answersPerSource = 40
	answersInAll     = 4000
)

// SearchConfig is what a [Search] needs. It is copied.
type SearchConfig struct {
	// Interface is the name of the network interface on which is asked. Required.
	Interface string
	// Every is how often to ask. Zero means 1 s; below 100 ms is refused.
	Every time.Duration
	// MaxFound bounds the results. Zero means 256; negative or above 4096 is refused.
	MaxFound int
	// Legacy also asks in the older format, which MicroCloud has. Its answers name no question, so they can be forged by who
	// sees none.
	Legacy bool
	// Logger receives what happens; nil discards.
	Logger *slog.Logger
}

// Found is what one machine says of itself. It is a suggestion where to try and proves nothing: see the threat model of this
// package. Name and addresses are well-formed, and safe to show.
type Found struct {
	// Name is what certstore.CheckName takes. Nothing keeps several machines from saying the same.
	Name string
	// Addresses are what certstore.CheckAddress takes, 1 to [MaxAddresses]. Nothing ties them to Source.
	Addresses []string
	// Protocol is [Protocol] or [ProtocolLegacy].
	Protocol string
	// Source is the address from which the answer came, with the zone if it is local to a link. Who is on the link can forge
	// it.
	Source netip.Addr
}

// key is what makes two answers the same. A machine that answers from addresses of both families is found once for each.
func (f Found) key() string {
	return strings.Join(append([]string{f.Protocol, f.Name, f.Source.String()}, f.Addresses...), " ")
}

// Search asks who lets others join. Make one with [NewSearch]. It is safe for concurrent use.
//
// Specification: docs/discovery.md, section "Asking".
type Search struct {
	cfg   SearchConfig
	tally tally
}

// NewSearch checks the config. It opens nothing and starts nothing. Errors wrap [ErrConfig].
func NewSearch(cfg SearchConfig) (*Search, error) {
	if cfg.Every == 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.MaxFound == 0 {
		cfg.MaxFound = DefaultMaxFound
	}
	cfg.Logger = contain.Logger(cfg.Logger)
	switch {
	case cfg.Interface == "":
		return nil, configError("Interface", errors.New("is required"))
	case cfg.Every < minEvery:
		return nil, configError("Every", fmt.Errorf("must be at least %v, or 0 for %v", minEvery, DefaultEvery))
	case cfg.MaxFound < 0 || cfg.MaxFound > maxMaxFound:
		return nil, configError("MaxFound", fmt.Errorf("must be 1 to %d, or 0 for %d", maxMaxFound, DefaultMaxFound))
	}
	return &Search{cfg: cfg}, nil
}

// Counts says what became of the answers so far.
func (s *Search) Counts() Counts { return s.tally.counts() }

// Results asks until ctx ends, and yields each machine that answers once, as answers come; machines that say the same name are
// all yielded. The end of ctx is no error, so give it a deadline. What keeps it from asking is yielded as the last
// pair, with an error that wraps [ErrInterface] or [ErrNotSent]. Each range over the sequence is a search of its own.
func (s *Search) Results(ctx context.Context) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		r := &round{search: s, ctx: ctx, found: make(chan Found), seen: map[string]bool{}, perSource: map[netip.Addr]int{}}
		if err := r.run(cancel, yield); err != nil {
			yield(Found{}, err)
		}
	}
}

// round is one range over the results.
type round struct {
	search  *Search
	ctx     context.Context
	sockets []*socket
	pace    *ratelimit.Admission
	found   chan Found

	mu      sync.Mutex
	queries []queryID // the last ones, newest first

	seen      map[string]bool // keys of what was yielded; of the ranging goroutine, as perSource is
	perSource map[netip.Addr]int
}

// run returns nil when the context ended or nobody wants more.
func (r *round) run(cancel context.CancelFunc, yield func(Found, error) bool) error {
	if err := r.dial(); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	defer closeAll(r.sockets)
	for _, s := range r.sockets {
		running.Go(func() {
			if err := s.receive(func(data []byte, a arrival) { r.take(s, data, a) }); err != nil {
				r.search.cfg.Logger.WarnContext(r.ctx, "discovery: no more answers are heard", "group", s.group.address, "error", err)
			}
		})
	}
	if err := r.ask(); err != nil {
		return err
	}
	again := time.NewTicker(r.search.cfg.Every)
	defer again.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return nil
		case <-again.C:
			_ = r.ask() // counted; networks come and go
		case f := <-r.found:
			if r.list(f) && !yield(f, nil) {
				return nil
			}
		}
	}
}

// dial opens a socket for every group that works.
func (r *round) dial() error {
	cfg := r.search.cfg
	i, err := findInterface(cfg.Interface)
	if err != nil {
		return err
	}
	if r.pace, err = newPace(answersPerSource, answersInAll); err != nil {
		return configError("pace", err)
	}
	var failed error
	for _, g := range groups(cfg.Legacy) {
		s, err := dial(r.ctx, g, i)
		if err != nil {
			failed = errors.Join(failed, err)
			cfg.Logger.DebugContext(r.ctx, "discovery: nobody is asked", "group", g.address, "error", err)
			continue
		}
		r.sockets = append(r.sockets, s)
	}
	if len(r.sockets) == 0 {
		return fmt.Errorf("%w: %q: %w", ErrInterface, cfg.Interface, failed)
	}
	return nil
}

// ask asks every group once, with a new id. Its error wraps ErrNotSent if none could be asked.
func (r *round) ask() error {
	id := newQueryID()
	r.mu.Lock()
	r.queries = append([]queryID{id}, r.queries[:min(len(r.queries), rounds-1)]...)
	r.mu.Unlock()
	var failed error
	sent := 0
	for _, s := range r.sockets {
		data, err := encodeQuestion(id)
		if s.group.legacy {
			data, err = encodeLegacyQuestion()
		}
		if err == nil {
			err = s.ask(data)
		}
		if err != nil {
			r.search.tally.count(unsent)
			failed = errors.Join(failed, err)
			continue
		}
		sent++
	}
	if sent == 0 {
		return fmt.Errorf("%w on %q: %w", ErrNotSent, r.search.cfg.Interface, failed)
	}
	return nil
}

// take goes through the gates before the list, and hands on what passes.
func (r *round) take(s *socket, data []byte, a arrival) {
	f, v := r.read(s, data, a)
	if v != taken {
		r.search.tally.count(v)
		return
	}
	select {
	case r.found <- f:
	case <-r.ctx.Done():
	}
}

func (r *round) read(s *socket, data []byte, a arrival) (Found, verdict) {
	if len(data) > MaxDatagram {
		return Found{}, oversized
	}
	if r.pace.Admit(time.Now(), host(a.from.Addr())) != nil {
		return Found{}, limited
	}
	var o offer
	var err error
	f := Found{Protocol: Protocol, Source: a.from.Addr()}
	if s.group.legacy {
		f.Protocol = ProtocolLegacy
		o, err = parseLegacyAnswer(data)
	} else {
		var id queryID
		if id, o, err = parseAnswer(data); err == nil && !r.asked(id) {
			return Found{}, unasked
		}
	}
	f.Name, f.Addresses = o.name, o.addresses
	switch {
	case errors.Is(err, errVersion):
		return Found{}, otherVersion
	case err != nil:
		return Found{}, malformed
	}
	return f, taken
}

func (r *round) asked(id queryID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.queries, id)
}

// list reports whether f is new and there is room for it.
func (r *round) list(f Found) bool {
	v := taken
	switch key := f.key(); {
	case r.seen[key]:
		v = repeated
	case len(r.seen) >= r.search.cfg.MaxFound || r.perSource[f.Source] >= foundPerSource:
		v = full
	default:
		r.seen[key] = true
		r.perSource[f.Source]++
	}
	r.search.tally.count(v)
	return v == taken
}
