package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/internal/contain"
	"github.com/microtrust/microtrust/ratelimit"
)

const (
	maxInterfaces = 32

	// Questions per second: a search asks once, over each family.
	questionsPerSource = 10
	questionsInAll     = 200
)

// Config is what an [Announcer] needs. It is copied.
type Config struct {
	// Name is this machine's name, as certstore.CheckName takes it. Required.
	Name string
	// Addresses are where joiners reach this machine, as certstore.CheckAddress takes them: 1 to [MaxAddresses], none twice, and
	// so short together that an answer has at most [MaxDatagram] bytes, which seven IPv6 addresses always are with a name of
	// 40 bytes. Required.
	Addresses []string
	// Interfaces are the names of the network interfaces on which questions are answered, at most 32; on no other one is
	// anything said. Required.
	Interfaces []string
	// Open reports whether this machine lets anybody join now. While it returns false nothing is answered. It is called for
	// each question, from several goroutines, and must not block. Required.
	Open func() bool
	// Legacy also answers in the older format, which MicroCloud has, with the first of Addresses. Its questions are
	// shorter than answers are and have no id, so answers can be several times as many bytes. Switch it on only where such
	// joiners are expected.
	Legacy bool
	// Logger receives what happens; nil discards.
	Logger *slog.Logger
}

// Announcer answers questions. Make one with [NewAnnouncer]. It is safe for concurrent use.
//
// Specification: docs/discovery.md, section "Answering".
type Announcer struct {
	cfg      Config
	offer    offer
	pace     *ratelimit.Admission
	answered recent[asked]
	tally    tally
}

// asked is one question of one asker.
type asked struct {
	query queryID
	from  string
}

// NewAnnouncer checks the config. It opens nothing and starts nothing. Errors wrap [ErrConfig].
func NewAnnouncer(cfg Config) (*Announcer, error) {
	cfg.Addresses = slices.Clone(cfg.Addresses)
	cfg.Interfaces = slices.Clone(cfg.Interfaces)
	cfg.Logger = contain.Logger(cfg.Logger)
	a := &Announcer{cfg: cfg, offer: offer{cfg.Name, cfg.Addresses}}
	if _, err := encodeAnswer(queryID{}, a.offer); err != nil {
		return nil, configError("Name, Addresses", err)
	}
	if _, err := encodeLegacyAnswer(a.offer); cfg.Legacy && err != nil {
		return nil, configError("Legacy", err)
	}
	if n := len(cfg.Interfaces); n == 0 || n > maxInterfaces {
		return nil, configError("Interfaces", fmt.Errorf("%d names, must be 1 to %d", n, maxInterfaces))
	}
	if cfg.Open == nil {
		return nil, configError("Open", errors.New("is required"))
	}
	var err error
	if a.pace, err = newPace(questionsPerSource, questionsInAll); err != nil {
		return nil, configError("pace", err)
	}
	return a, nil
}

// Counts says what became of the questions so far.
func (a *Announcer) Counts() Counts { return a.tally.counts() }

// Run answers questions until ctx ends, and returns the cause of that. An interface that is not there, is down, or on which
// questions can be heard in neither family (another program may keep the port for itself) is an error that wraps
// [ErrInterface]; a family that does not work is a warning in the log. Interfaces that come later need another Run.
func (a *Announcer) Run(ctx context.Context) error {
	sockets, indices, err := a.listen(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	for _, s := range sockets {
		running.Go(func() {
			err := s.receive(func(data []byte, from arrival) {
				a.tally.count(a.take(s, indices, data, from))
			})
			if err != nil {
				cancel(fmt.Errorf("discovery: %s: %w", s.group.address, err))
			}
		})
	}
	<-ctx.Done()
	closeAll(sockets)
	running.Wait()
	return context.Cause(ctx)
}

// listen opens the sockets, and returns the indices of the interfaces.
func (a *Announcer) listen(ctx context.Context) (sockets []*socket, indices []int, err error) {
	var interfaces []*net.Interface
	for _, name := range a.cfg.Interfaces {
		i, err := findInterface(name)
		if err != nil {
			return nil, nil, err
		}
		interfaces = append(interfaces, i)
		indices = append(indices, i.Index)
	}
	works := map[int]bool{}
	var failed error
	for _, g := range groups(a.cfg.Legacy) {
		s, joined, err := listen(ctx, g, interfaces)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", g.address, err))
			a.cfg.Logger.WarnContext(ctx, "discovery: questions of this group are not heard everywhere", "group", g.address, "error", err)
		}
		if s != nil {
			sockets = append(sockets, s)
		}
		if s == nil && g.legacy {
			closeAll(sockets) // what was asked for explicitly
			return nil, nil, fmt.Errorf("%w: %w", ErrInterface, failed)
		}
		for _, i := range joined {
			works[i.Index] = true
		}
	}
	for _, i := range interfaces {
		if !works[i.Index] {
			closeAll(sockets)
			return nil, nil, fmt.Errorf("%w: %q: %w", ErrInterface, i.Name, failed)
		}
	}
	return sockets, indices, nil
}

// take goes through the gates in order of what they cost, and answers a question that passes all of them.
func (a *Announcer) take(s *socket, indices []int, data []byte, from arrival) verdict {
	if len(data) > MaxDatagram {
		return oversized
	}
	if from.to.IsValid() && from.to != s.group.address.Addr() || from.index != 0 && !slices.Contains(indices, from.index) {
		return elsewhere
	}
	if a.pace.Admit(time.Now(), host(from.from.Addr())) != nil {
		return limited
	}
	var reply []byte
	var err error
	again := func() bool { return false } // the older format has no ids
	if s.group.legacy {
		if err = parseLegacyQuestion(data); err == nil {
			reply, err = encodeLegacyAnswer(a.offer)
		}
	} else {
		var id queryID
		if id, err = parseQuestion(data); err == nil {
			again = func() bool { return a.answered.again(asked{id, from.from.String()}) }
			reply, err = encodeAnswer(id, a.offer)
		}
	}
	switch {
	case errors.Is(err, errVersion):
		return otherVersion
	case err != nil:
		return malformed
	case !a.cfg.Open():
		return closed
	case again():
		return repeated
	}
	if err := s.reply(reply, from); err != nil {
		a.cfg.Logger.Debug("discovery: an answer could not be sent", "to", from.from, "error", err)
		return unsent
	}
	return taken
}
