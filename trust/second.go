package trust

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// Times for asking a second member. It learns of this machine from the initiator, which may take a moment; a member that
// cannot be reached at all is not waited for.
const (
	secondTime  = 3 * time.Second
	secondPause = 100 * time.Millisecond
)

// askSecond pulls the set from another member than the initiator, so that an initiator alone cannot hide a removal. It
// returns the name of the member that answered, or "" if there is none that could be reached.
func askSecond(ctx context.Context, store *certstore.Store, log *slog.Logger, initiator Initiator) string {
	ctx, cancel := context.WithTimeout(ctx, secondTime)
	defer cancel()
	own := newReplica(store)
	answers := make(chan string)
	asked := 0
	for m := range store.Snapshot().Members() {
		if m.Name == store.Identity().Name() || m.Fingerprint == initiator.Fingerprint || len(m.Addresses) == 0 || asked == 3 {
			continue
		}
		asked++
		go func() { answers <- ask(ctx, own, log, m.Name) }()
	}
	name := ""
	for range asked {
		if answer := <-answers; answer != "" && name == "" {
			name = answer
			cancel()
		}
	}
	return name
}

func ask(ctx context.Context, own *replica, log *slog.Logger, name string) string {
	client := memberClient(own.store, name)
	defer client.CloseIdleConnections()
	for {
		_, err := own.reconcile(ctx, client, name, nil)
		if err == nil {
			return name
		}
		if !worthAsking(err) || pause(ctx, secondPause) != nil {
			log.Debug("second member not asked", "member", name, "error", err)
			return ""
		}
	}
}

// worthAsking reports whether the member is there but does not know this machine yet.
func worthAsking(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		return brokenOff(op)
	}
	return !errors.As(err, new(tls.RecordHeaderError)) && !errors.Is(err, certstore.ErrUnknownMember)
}
