package certstore

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"slices"
)

// What the tests outside the package need of its inside.

func NewSnapshot(cluster ClusterID, members []*Member, gone map[KeyID]struct{}, digest Digest) *Snapshot {
	return newSnapshot(cluster, members, gone, digest)
}

// SetLineage makes m a later key of the machine whose first key is first.
func SetLineage(m *Member, first, replaces KeyID) { m.lineage, m.Replaces = first, replaces }

func (id *Identity) Sign(message []byte) ([]byte, error) { return id.sign(message) }

func (id *Identity) PublicKeyDER() []byte { return id.publicKeyDER() }

func VerifySignature(spki, message, signature []byte) error {
	return verifySignature(spki, message, signature)
}

func constant(id *Identity) func() *Identity { return func() *Identity { return id } }

func ServerTLS(id *Identity, current func() *Snapshot, cfg ServerTLSConfig) *tls.Config {
	return serverTLS(constant(id), current, cfg)
}

func ClientTLS(id *Identity, current func() *Snapshot, name string) *tls.Config {
	return clientTLS(constant(id), current, name)
}

func NewTransport(id *Identity, current func() *Snapshot, name string) http.RoundTripper {
	return newTransport(constant(id), current, new(net.Dialer).DialContext, name)
}

func Guard(inner net.Listener) net.Listener { return guardedListener{inner} }

func RequireMember(current func() *Snapshot, next http.Handler) http.Handler {
	return requireMember(current, next)
}

// PoolFor returns what stands for the connections over which a transport sends its next request, to a member whose newest
// key this is, and what notes that one of them proved a key.
func PoolFor(transport http.RoundTripper, newest KeyID) (pool any, proved func(KeyID)) {
	p := transport.(*memberTransport).poolFor(newest)
	return p, p.proved
}

// Proved returns the keys that the connections have proved which a transport has for its next request.
func Proved(transport http.RoundTripper) []KeyID {
	t := transport.(*memberTransport)
	t.mu.Lock()
	pool := t.pool
	t.mu.Unlock()
	if pool == nil {
		return nil
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	return slices.Collect(maps.Keys(pool.keys))
}

// NewTransportOf is NewTransport for an identity that changes.
func NewTransportOf(identity func() *Identity, current func() *Snapshot, name string) http.RoundTripper {
	return newTransport(identity, current, new(net.Dialer).DialContext, name)
}
