package main

import (
	"context"
	"net/netip"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
)

// serverName is the member that everybody calls.
const serverName = "micro01"

// joiner is a machine that can become a member: the server's session admits whoever proves the passphrase.
type joiner struct {
	to  string
	cfg trust.JoinConfig
}

func newJoiner(name string, to serverSays, from netip.Addr) (*joiner, error) {
	passphrase, err := hmacauth.ParsePassphrase(to.Passphrase)
	if err != nil {
		return nil, err
	}
	fingerprint, err := certstore.ParseFingerprint(to.Fingerprint)
	if err != nil {
		return nil, err
	}
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name})
	if err != nil {
		return nil, err
	}
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	return &joiner{to.Address, trust.JoinConfig{
		Store: store, Passphrase: passphrase, Fingerprint: fingerprint, Wait: patience, Dial: dialerFrom(from).DialContext,
	}}, err
}

func (j *joiner) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := trust.Join(ctx, j.to, j.cfg)
	return err
}
