package trust

import (
	"context"
	"errors"
	"fmt"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

// approach is where a join goes and what it proves there: a passphrase at one address, or an invitation at one of its own.
type approach struct {
	addresses []string // tried in order, until something was proved at one
	secret    hmacauth.Secret
	selector  string
	budget    ratelimit.Budget    // of proofs without a verified answer
	cluster   certstore.ClusterID // which it must be; zero: whichever it is
}

// approach says what the config means, and puts into it what an invitation says.
func (cfg *JoinConfig) approach(address string) (approach, error) {
	a := approach{addresses: []string{address}, secret: cfg.Passphrase.Secret(), budget: joinerBudget}
	a.cluster, _ = cfg.Store.Cluster()
	if !cfg.Invitation.IsZero() {
		if err := cfg.accept(&a, address); err != nil {
			return a, err
		}
	}
	if a.secret.IsZero() {
		return a, fmt.Errorf("%w: Passphrase or Invitation is required", ErrConfig)
	}
	for _, address := range a.addresses {
		if err := certstore.CheckAddress(address); err != nil {
			return a, fmt.Errorf("%w: address of the initiator: %w", ErrConfig, err)
		}
	}
	return a, oneWayToVerify(cfg.Fingerprint, cfg.Verify, cfg.InsecureSkipFingerprint)
}

// accept takes what the invitation says. It is refused here already by whom it isn't for.
func (cfg *JoinConfig) accept(a *approach, address string) error {
	inv, name := cfg.Invitation, cfg.Store.Identity().Name()
	switch {
	case !cfg.Passphrase.IsZero():
		return fmt.Errorf("%w: Passphrase and Invitation are both set", ErrConfig)
	case !cfg.Fingerprint.IsZero() || cfg.Verify != nil || cfg.InsecureSkipFingerprint:
		return fmt.Errorf("%w: Fingerprint, Verify or InsecureSkipFingerprint is set, and the invitation says the fingerprint", ErrConfig)
	case inv.Name != name:
		return fmt.Errorf("trust: %w: the invitation is for %q, and this machine is %q", session.ErrUnwantedName, inv.Name, name)
	case !a.cluster.IsZero() && a.cluster != inv.Cluster:
		return fmt.Errorf("trust: %w: the invitation is for another one", certstore.ErrOtherCluster)
	}
	cfg.Fingerprint, a.cluster = inv.Fingerprint, inv.Cluster
	a.secret, a.selector = inv.Secret(), inv.Selector()
	a.budget = ratelimit.BudgetForBits(8 * hmacauth.InvitationSecretSize)
	if address == "" {
		a.addresses = inv.Addresses
	}
	return nil
}

// round is one attempt at each address in turn, until something was proved at one. The error is that of all.
func (j *joiner) round(ctx context.Context) (Result, error) {
	var failed error
	for i := 0; ; i++ {
		if !j.dialer.proved() {
			j.dialer.address = j.addresses[i]
		}
		res, err := j.attempt(ctx)
		if err == nil {
			return res, nil
		}
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; %w", failed, err)
		}
		if i+1 == len(j.addresses) || j.dialer.proved() || ctx.Err() != nil || !elsewhere(err) {
			return res, j.advise(failed)
		}
		j.report(Progress{Stage: Connecting, Retry: err})
	}
}

// elsewhere reports whether another address may lead to the initiator: this one did not.
func elsewhere(err error) bool {
	for _, not := range []error{ErrUnreachable, ErrNoSession, ErrNotMicrotrust, ErrCertificateNotAsked, certstore.ErrValidity, certstore.ErrCertificate} {
		if errors.Is(err, not) {
			return true
		}
	}
	return errors.As(err, new(*FingerprintError))
}

// advise adds what an error means to whoever has an invitation.
func (j *joiner) advise(err error) error {
	switch {
	case j.selector == "":
		return err
	case errors.As(err, new(*FingerprintError)):
		return fmt.Errorf("%w; if the initiator has a new certificate, a new invitation is needed", err)
	case errors.Is(err, ErrRefused):
		return fmt.Errorf("%w; or the invitation is not known there any more", err)
	}
	return err
}
