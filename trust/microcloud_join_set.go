package trust

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/session"
)

// errNoSet says that the initiator answered that it has no member set.
var errNoSet = errors.New("no member set")

// pulledSet is what came of asking for the member set.
type pulledSet struct {
	*wholeSet
	err error
}

// startPull asks for the set while a person compares, so that the initiator need not stay for that. Nothing is stored. After stop,
// which waits, nothing is under way any more.
func (j *microcloudJoiner) startPull(ctx context.Context) (_ <-chan pulledSet, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	pulled := make(chan pulledSet, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		set, err := j.pull(ctx)
		pulled <- pulledSet{set, err}
	}()
	return pulled, func() {
		cancel()
		<-ended
	}
}

// adopt checks all of the member set, makes it durable, and tells the initiator where this machine is.
func (j *microcloudJoiner) adopt(ctx context.Context, c confirmation, other *Initiator, set pulledSet) error {
	store := j.service.store
	switch err := set.err; {
	case errors.Is(err, errNoSet) && j.cfg.Found:
		return j.found(ctx, c, other)
	case errors.Is(err, errNoSet):
		return ErrNoMemberSet
	case err != nil:
		return err
	}
	if mine, ok := store.Cluster(); ok && mine != set.cluster {
		return certstore.ErrOtherCluster
	}
	other.Cluster = set.cluster
	profile, err := adoptSet(ctx, store, *other, certstore.AdoptRequest{
		Cluster: set.cluster, Digest: set.digest, Statements: set.statements, Addresses: j.addresses,
	})
	if err != nil {
		return err
	}
	j.stored = true
	client := memberClient(store, other.Name)
	defer client.CloseIdleConnections()
	own := newReplica(store)
	return persistently(ctx, func() error {
		_, err := own.reconcile(ctx, client, j.address, []*certstore.Statement{profile})
		return err
	})
}

// pull asks for the set as a member, over mutual TLS with the certificate that was confirmed. The initiator admitted this
// machine before it confirmed.
func (j *microcloudJoiner) pull(ctx context.Context) (set *wholeSet, err error) {
	caller := j.caller(false)
	defer caller.CloseIdleConnections()
	client := &http.Client{
		Transport:     caller.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	err = persistently(ctx, func() (err error) {
		set, err = pullSet(ctx, client, j.address)
		return err
	})
	return set, err
}

// persistently repeats an exchange with the initiator while it cannot be reached or is busy, for as long as the patience lasts.
func persistently(ctx context.Context, exchange func() error) error {
	started := time.Now()
	for retry := 0; ; retry++ {
		err := exchange()
		if err == nil {
			return nil
		}
		if err = exchangeError(err); !errors.Is(err, ErrUnreachable) || time.Since(started) >= reconnectPatience {
			return err
		}
		if pause(ctx, backOff(retry)) != nil {
			return context.Cause(ctx)
		}
	}
}

// exchangeError says what it means for a join that an exchange failed. What may be better later is ErrUnreachable.
func exchangeError(err error) error {
	status, answered := errors.AsType[*statusError](err)
	switch {
	case answered && status.status == http.StatusNotFound:
		return errNoSet
	case answered && (status.status >= 500 || status.status == http.StatusTooManyRequests || status.status == http.StatusForbidden):
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case answered:
		return fmt.Errorf("%w: %w", ErrReply, err)
	case errors.Is(err, ErrMemberSet):
		return err
	case errors.Is(err, errMeaning), errors.Is(err, wire.ErrMalformed), errors.Is(err, errTooLarge):
		return fmt.Errorf("%w: %w", ErrReply, err)
	}
	return roundTripError(err, ErrNotMicroCloud)
}

// found makes the initiator known here without a member set of its own: as a member, without rights, of a cluster that this
// machine begins. If it was so before, as after a crash, nothing changes.
func (j *microcloudJoiner) found(ctx context.Context, c confirmation, other *Initiator) error {
	store := j.service.store
	if _, in := store.Cluster(); !in {
		err := store.BootstrapWith(ctx, certstore.BootstrapConfig{Addresses: j.addresses, Members: []certstore.AdmitRequest{
			{Certificate: c.certificate, Name: c.name, Rights: certstore.NoRights, Compared: j.compared()},
		}})
		if err != nil {
			return fmt.Errorf("%w: %w", errStore, err)
		}
	}
	other.Cluster, _ = store.Cluster()
	if _, known := store.Snapshot().ByCertificate(c.certificate.Raw); !known {
		return fmt.Errorf("%w: the initiator is not in that of this machine", certstore.ErrOtherCluster)
	}
	return nil
}

// compared is how the initiator's fingerprint was compared, for the record.
func (j *microcloudJoiner) compared() string {
	switch {
	case !j.cfg.Fingerprint.IsZero():
		return string(session.ComparedPinned)
	case j.cfg.Verify != nil:
		return string(session.ComparedByPerson)
	}
	return string(session.ComparedByPolicy)
}
