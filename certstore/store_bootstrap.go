package certstore

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"
)

// BootstrapConfig says how a cluster begins. It is copied.
type BootstrapConfig struct {
	Addresses  []string          // where this machine is reached, see Profile
	Attributes map[string]string // see Profile

	// Recovery is the public half of a key that is kept offline: an *ecdsa.PublicKey on P-256 or P-384, an
	// ed25519.PublicKey or an *rsa.PublicKey of at least 2048 bits. What it admits (SignRecovery) always counts, and nobody
	// can remove it. It cannot be named, changed or withdrawn later. Nil: there is none.
	Recovery crypto.PublicKey

	// Members are machines that are members from the beginning, because something else has established beforehand that they
	// are trusted. All of them are admitted, or there is no cluster.
	Members []AdmitRequest
}

// Bootstrap is BootstrapWith with addresses alone.
func (s *Store) Bootstrap(ctx context.Context, addresses ...string) error {
	return s.BootstrapWith(ctx, BootstrapConfig{Addresses: addresses})
}

// BootstrapWith begins a new cluster with this machine as its first member, the only one unless cfg names others. It is
// durable when it returns. Errors: ErrAlreadyInCluster, ErrProfile, ErrRecoveryKey, those that Admit has for a request and
// for a key or name that stands twice, and those of the backend.
func (s *Store) BootstrapWith(ctx context.Context, cfg BootstrapConfig) error {
	profile := (&Profile{Addresses: cfg.Addresses, Attributes: cfg.Attributes}).clone()
	if err := profile.check(); err != nil {
		return err
	}
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if cluster, in := s.Cluster(); in {
		return fmt.Errorf("%w: %v", ErrAlreadyInCluster, cluster)
	}
	id := s.Identity()
	begin := &Genesis{Name: id.Name(), Certificate: id.Certificate().Raw}
	if cfg.Recovery != nil {
		var err error
		if begin.Recovery, err = recoveryKey(cfg.Recovery); err != nil {
			return err
		}
		if KeyID(sha256.Sum256(begin.Recovery)) == id.KeyID() {
			return fmt.Errorf("%w: it is this machine's own key; take one that is kept elsewhere", ErrRecoveryKey)
		}
	}
	if err := checkFirst(id, cfg.Members); err != nil {
		return err
	}
	if _, err := rand.Read(begin.Random[:]); err != nil {
		return err
	}
	genesis, err := signStatement(id, ClusterID{}, s.now(), begin)
	if err != nil {
		return err
	}
	contents := []content{&MemberProfile{Profile: profile, Admit: genesis.id, Revision: 1}}
	for _, req := range cfg.Members {
		req.Rights = cmp.Or(req.Rights, DefaultRights)
		contents = append(contents, req.content())
	}
	batch := []*Statement{genesis}
	for _, c := range contents {
		statement, err := signStatement(id, genesis.Cluster(), s.now(), c)
		if err != nil {
			return err
		}
		batch = append(batch, statement)
	}
	_, err = s.absorb(ctx, genesis.Cluster(), batch, storeWhole)
	return err
}

// checkFirst returns an error for members that cannot begin a cluster together with id.
func checkFirst(id *Identity, members []AdmitRequest) error {
	names := map[string]Fingerprint{id.Name(): id.Fingerprint()}
	keys := map[KeyID]struct{}{id.KeyID(): {}}
	for _, req := range members {
		if err := req.check(); err != nil {
			return err
		}
		fingerprint, key := FingerprintOf(req.Certificate), KeyIDOf(req.Certificate)
		if holder, taken := names[req.Name]; taken {
			return &NameConflictError{Name: req.Name, Holders: []Fingerprint{holder, fingerprint}}
		}
		if _, twice := keys[key]; twice {
			return fmt.Errorf("%w: key %v of %q stands twice", ErrCertificate, key, req.Name)
		}
		names[req.Name], keys[key] = fingerprint, struct{}{}
	}
	return nil
}

// recoveryKey returns the encoding of a recovery key.
func recoveryKey(public crypto.PublicKey) ([]byte, error) {
	if err := checkPublicKey(public); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecoveryKey, err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecoveryKey, err)
	}
	if _, err := parsePublicKey(spki); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecoveryKey, err)
	}
	return spki, nil
}

// SignRecovery returns the statement by which the recovery key of a cluster makes a certificate a member, whatever was
// removed before; a key that is gone itself stays gone. It needs no store and no network, so that the key can stay offline:
// bring the statement to any member of the cluster, and Merge it there. Rights of zero are all rights. Whether key is the
// recovery key of that cluster, and which names are taken there, is not known here: statements by another key mean nothing.
// Errors: ErrRecoveryKey, ErrNoCluster if cluster is zero, *FieldError, ErrCertificate, ErrNotAllowed for rights that do
// not exist, and what key returns.
func SignRecovery(key crypto.Signer, cluster ClusterID, req AdmitRequest) (*Statement, error) {
	if key == nil {
		return nil, fmt.Errorf("%w: no key given", ErrRecoveryKey)
	}
	if cluster.IsZero() {
		return nil, ErrNoCluster
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	spki, err := recoveryKey(key.Public())
	if err != nil {
		return nil, err
	}
	req.Rights = cmp.Or(req.Rights, DefaultRights)
	return signStatement(&offlineKey{key, spki}, cluster, time.Now(), req.content())
}

// offlineKey signs statements for a key without certificate.
type offlineKey struct {
	key  crypto.Signer
	spki []byte
}

func (k *offlineKey) publicKeyDER() []byte { return k.spki }

func (k *offlineKey) sign(message []byte) ([]byte, error) {
	signature, err := signMessage(k.key.Public(), k.key.Sign, message)
	if err != nil {
		return nil, err
	}
	return signature, verifySignature(k.spki, message, signature)
}
