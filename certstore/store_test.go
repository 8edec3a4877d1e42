package certstore_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

func openMemory(t testing.TB, id *certstore.Identity) *certstore.Store {
	t.Helper()
	s, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// cluster returns a store of the first identity, which admitted the others.
func cluster(t testing.TB, ids ...*certstore.Identity) *certstore.Store {
	t.Helper()
	s := openMemory(t, ids[0])
	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	for _, id := range ids[1:] {
		_, err := s.Admit(t.Context(), request(id))
		require.NoError(t, err)
	}
	return s
}

func request(id *certstore.Identity) certstore.AdmitRequest {
	return certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name(), Offer: [32]byte{1}}
}

func adoption(s *certstore.Store) certstore.AdoptRequest {
	id, _ := s.Cluster()
	return certstore.AdoptRequest{Cluster: id, Digest: s.Snapshot().Digest(), Statements: s.Statements(), Addresses: []string{"10.0.0.2:9443"}}
}

func TestEmptyStore(t *testing.T) {
	ids := people(t, 2)
	s := openMemory(t, ids[0])
	require.Zero(t, s.Snapshot().Len())
	_, in := s.Cluster()
	require.False(t, in)
	require.Empty(t, s.Statements())
	_, ok := s.Snapshot().ByCertificate(ids[0].Certificate().Raw)
	require.False(t, ok, "an empty store trusts nobody, itself included")

	_, err := s.Admit(t.Context(), request(ids[1]))
	require.ErrorIs(t, err, certstore.ErrNoCluster)
	require.ErrorIs(t, s.UpdateProfile(t.Context(), certstore.Profile{}), certstore.ErrNoCluster)
	_, err = s.Merge(t.Context(), nil)
	require.ErrorIs(t, err, certstore.ErrNoCluster)
	_, err = certstore.OpenBackend(nil, ids[0])
	require.Error(t, err)
	_, err = certstore.OpenBackend(certstore.NewMemoryBackend(), nil)
	require.Error(t, err)
}

func TestBootstrap(t *testing.T) {
	s := openMemory(t, people(t, 1)[0])
	require.ErrorIs(t, s.Bootstrap(t.Context(), "10.0.0.1"), certstore.ErrProfile)
	require.ErrorIs(t, s.Bootstrap(t.Context(), slices.Repeat([]string{"a:1"}, 17)...), certstore.ErrProfile)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Bootstrap(canceled), context.Canceled)
	require.Zero(t, s.Snapshot().Len())

	require.NoError(t, s.Bootstrap(t.Context(), "10.0.0.1:9443"))
	me, err := s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:9443"}, me.Addresses)
	require.Equal(t, certstore.DefaultRights, me.Rights)
	require.ErrorIs(t, s.Bootstrap(t.Context()), certstore.ErrAlreadyInCluster)
	require.Len(t, s.Statements(), 2)
}

func TestBootstrapWithMembersRefuses(t *testing.T) {
	ids := people(t, 3)
	renamed := func(id *certstore.Identity, name string) certstore.AdmitRequest {
		req := request(id)
		req.Name = name
		return req
	}
	unknown := request(ids[2])
	unknown.Rights = 1 << 6
	for reason, row := range map[string]struct {
		last certstore.AdmitRequest
		want error
	}{
		"no certificate":      {certstore.AdmitRequest{Name: "m2"}, certstore.ErrCertificate},
		"unknown rights":      {unknown, certstore.ErrNotAllowed},
		"its own name":        {renamed(ids[2], "m0"), certstore.ErrNameTaken},
		"another's name":      {renamed(ids[2], "m1"), certstore.ErrNameTaken},
		"its own certificate": {renamed(ids[0], "m2"), certstore.ErrCertificate},
		"a certificate twice": {renamed(ids[1], "m2"), certstore.ErrCertificate},
	} {
		t.Run(reason, func(t *testing.T) {
			s := openMemory(t, ids[0])
			err := s.BootstrapWith(t.Context(), certstore.BootstrapConfig{Members: []certstore.AdmitRequest{request(ids[1]), row.last}})
			require.ErrorIs(t, err, row.want)
			_, in := s.Cluster()
			require.False(t, in, "nothing is half done")
		})
	}
	s := openMemory(t, ids[0])
	var field *certstore.FieldError
	require.ErrorAs(t, s.BootstrapWith(t.Context(), certstore.BootstrapConfig{
		Members: []certstore.AdmitRequest{renamed(ids[1], "M1")},
	}), &field)
	require.Equal(t, "name", field.Field)
}

func TestBootstrapWithMembers(t *testing.T) {
	ids := people(t, 3)
	s := openMemory(t, ids[0])
	weak := request(ids[2])
	weak.Rights = certstore.NoRights
	require.NoError(t, s.BootstrapWith(t.Context(), certstore.BootstrapConfig{
		Addresses: []string{"10.0.0.1:9443"}, Members: []certstore.AdmitRequest{request(ids[1]), weak},
	}))
	for i, rights := range []certstore.Rights{certstore.DefaultRights, certstore.DefaultRights, 0} {
		m, ok := s.Snapshot().ByKey(ids[i].KeyID())
		require.True(t, ok)
		require.Equal(t, rights, m.Rights)
		require.Equal(t, ids[0].KeyID(), m.AdmittedBy)
	}
	other := openMemory(t, ids[1])
	_, err := other.Adopt(t.Context(), adoption(s))
	require.NoError(t, err)
}

func TestAdmitRefuses(t *testing.T) {
	ids := people(t, 6)
	s := cluster(t, ids[:2]...)
	id, _ := s.Cluster()
	l := &ledger{t: t, cluster: id, all: s.Statements()}
	_, err := s.Merge(t.Context(), []*certstore.Statement{l.admit(ids[0], ids[2]), l.remove(ids[0], ids[2])})
	require.NoError(t, err)
	before := s.Snapshot().Digest()

	taken := request(ids[3])
	taken.Name = "m1"
	badName := request(ids[3])
	badName.Name = "M3"
	compared := request(ids[3])
	compared.Compared = "by\nme"
	rights := request(ids[3])
	rights.Rights = 1 << 6
	rows := []struct {
		reason string
		req    certstore.AdmitRequest
		want   error
	}{
		{"no certificate", certstore.AdmitRequest{Name: "m3"}, certstore.ErrCertificate},
		{"a bad name", badName, nil},
		{"unknown rights", rights, certstore.ErrNotAllowed},
		{"a note with a line end", compared, nil},
		{"a name that another holds", taken, certstore.ErrNameTaken},
		{"a removed key", request(ids[2]), certstore.ErrRemovedKey},
	}
	for _, row := range rows {
		_, err := s.Admit(t.Context(), row.req)
		require.Error(t, err, row.reason)
		if row.want != nil {
			require.ErrorIs(t, err, row.want, row.reason)
		} else {
			var field *certstore.FieldError
			require.ErrorAs(t, err, &field, row.reason)
		}
	}
	var conflict *certstore.NameConflictError
	_, err = s.Admit(t.Context(), taken)
	require.ErrorAs(t, err, &conflict)
	require.Equal(t, []certstore.Fingerprint{ids[1].Fingerprint()}, conflict.Holders)
	require.Equal(t, before, s.Snapshot().Digest(), "nothing was stored")

	// One that removed itself before anybody admitted it.
	early := openMemory(t, ids[0])
	require.NoError(t, early.Bootstrap(t.Context()))
	earlyID, _ := early.Cluster()
	_, err = early.Merge(t.Context(), []*certstore.Statement{(&ledger{t: t, cluster: earlyID}).remove(ids[3], ids[3])})
	require.NoError(t, err)
	require.False(t, early.Snapshot().Gone(ids[3].KeyID()), "nobody has admitted it yet")
	_, err = early.Admit(t.Context(), request(ids[3]))
	require.ErrorIs(t, err, certstore.ErrRemovedKey)

	// A member without rights, and one that was removed.
	weak := request(ids[4])
	weak.Rights = certstore.NoRights
	m, err := s.Admit(t.Context(), weak)
	require.NoError(t, err)
	require.Zero(t, m.Rights)
	admitOnly := request(ids[5])
	admitOnly.Rights = certstore.MayAdmit
	_, err = s.Admit(t.Context(), admitOnly)
	require.NoError(t, err)
	for i, want := range map[int]error{2: certstore.ErrNotMember, 4: certstore.ErrNotAllowed, 5: certstore.ErrNotAllowed} {
		b := certstore.NewMemoryBackend()
		require.NoError(t, b.Append(t.Context(), certstore.Batch{Cluster: id, Statements: s.Statements()}))
		other, err := certstore.OpenBackend(b, ids[i])
		require.NoError(t, err)
		both := request(ids[3])
		both.Rights = certstore.DefaultRights
		_, err = other.Admit(t.Context(), both)
		require.ErrorIs(t, err, want, ids[i].Name())
		require.NoError(t, other.Close())
	}
}

func TestAdmitIsIdempotent(t *testing.T) {
	ids := people(t, 2)
	s := cluster(t, ids...)
	n := len(s.Statements())
	m, err := s.Admit(t.Context(), request(ids[1]))
	require.NoError(t, err)
	require.Equal(t, "m1", m.Name)
	require.Equal(t, [32]byte{1}, m.Offer)
	require.Len(t, s.Statements(), n)
	_, ok := s.Admitted(request(ids[1]))
	require.True(t, ok)

	again := request(ids[1])
	again.Offer = [32]byte{2}
	_, ok = s.Admitted(again)
	require.False(t, ok)
	_, ok = s.Admitted(certstore.AdmitRequest{})
	require.False(t, ok)
	_, err = s.Admit(t.Context(), again)
	require.NoError(t, err)
	require.Len(t, s.Statements(), n+1)
	_, ok = s.Admitted(again)
	require.True(t, ok)
}

func TestUpdateProfile(t *testing.T) {
	ids := people(t, 1)
	s := cluster(t, ids...)
	p := certstore.Profile{Addresses: []string{"[::1]:1"}, Attributes: map[string]string{"role": "db"}}
	for _, bad := range []certstore.Profile{
		{Addresses: []string{"nowhere"}}, {Attributes: map[string]string{"": "x"}}, {Attributes: map[string]string{"k": "\n"}},
		{Attributes: map[string]string{"k\xff": ""}},
	} {
		require.ErrorIs(t, s.UpdateProfile(t.Context(), bad), certstore.ErrProfile)
	}
	require.NoError(t, s.UpdateProfile(t.Context(), p))
	digest := s.Snapshot().Digest()
	require.NoError(t, s.UpdateProfile(t.Context(), p))
	require.Equal(t, digest, s.Snapshot().Digest(), "nothing changed, so nothing was written")
	require.Len(t, s.Statements(), 2, "the older profile is superseded")
	me, err := s.Snapshot().ByName("m0")
	require.NoError(t, err)
	require.Equal(t, p.Attributes, me.Attributes)
	p.Attributes["role"] = "changed"
	require.Equal(t, "db", me.Attributes["role"])
}

func TestReadersAndWritersTogether(t *testing.T) {
	ids := people(t, 10)
	s := cluster(t, ids[0])
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	newest := make([]int, 4)
	for i := range newest {
		readers.Go(func() {
			for snapshot := range s.Watch(ctx) {
				newest[i] = snapshot.Len()
				if _, err := snapshot.ByName("m0"); err != nil || len(s.Statements()) < 2 || newest[i] == len(ids) {
					return
				}
			}
		})
	}
	errs := make([]error, len(ids))
	for i, id := range ids[1:] {
		writers.Go(func() { _, errs[i] = s.Admit(ctx, request(id)) })
	}
	writers.Wait()
	readers.Wait()
	stop()
	require.NoError(t, errors.Join(errs...))
	require.Equal(t, []int{10, 10, 10, 10}, newest, "everybody sees the newest in the end")
}

func TestWatchEnds(t *testing.T) {
	s := cluster(t, people(t, 1)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for range s.Watch(ctx) {
		seen++
		cancel()
	}
	for range s.Watch(t.Context()) {
		seen++
		require.NoError(t, s.Close())
	}
	for range s.Watch(t.Context()) {
		seen++
		break
	}
	require.Equal(t, 3, seen)
}
