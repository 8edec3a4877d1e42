package trust

import (
	"context"
	"crypto/tls"
	"errors"
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
func (j *joiner) askSecond(ctx context.Context, initiator Initiator) string {
	ctx, cancel := context.WithTimeout(ctx, secondTime)
	defer cancel()
	own := newReplica(j.cfg.Store)
	answers := make(chan string)
	asked := 0
	for m := range j.cfg.Store.Snapshot().Members() {
		if m.Name == j.intent.Name || m.Fingerprint == initiator.Fingerprint || len(m.Addresses) == 0 || asked == 3 {
			continue
		}
		asked++
		go func() { answers <- j.ask(ctx, own, m.Name) }()
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

func (j *joiner) ask(ctx context.Context, own *replica, name string) string {
	client := memberClient(j.cfg.Store, name)
	defer client.CloseIdleConnections()
	for {
		_, err := own.reconcile(ctx, client, name, nil)
		if err == nil {
			return name
		}
		if !worthAsking(err) || pause(ctx, secondPause) != nil {
			j.cfg.Logger.Debug("second member not asked", "member", name, "error", err)
			return ""
		}
	}
}

// worthAsking reports whether the member is there but does not know this machine yet.
func worthAsking(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return true
	}
	return !errors.As(err, &op) && !errors.As(err, new(tls.RecordHeaderError)) && !errors.Is(err, certstore.ErrUnknownMember)
}
