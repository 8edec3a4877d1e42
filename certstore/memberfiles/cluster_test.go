package memberfiles_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
)

func open(t testing.TB, id *certstore.Identity) *certstore.Store {
	t.Helper()
	s, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// statements returns what a store hands to the machines that adopt its cluster.
func statements(t testing.TB, s *certstore.Store) []byte {
	t.Helper()
	cluster, _ := s.Cluster()
	var b bytes.Buffer
	require.NoError(t, certstore.WriteStatements(&b, certstore.Batch{Cluster: cluster, Statements: s.Statements()}))
	return b.Bytes()
}

// certificate returns one for a name, valid between two times from now on.
func certificate(t testing.TB, name string, from, to time.Duration) *x509.Certificate {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// TestFoundAndAdoptRefuseMembers: what is wrong with the files is said before anything happens, on whichever machine.
func TestFoundAndAdoptRefuseMembers(t *testing.T) {
	members, ids := newMembers(t, "micro01", "micro02", "micro03")
	with := func(cert *x509.Certificate) []memberfiles.Member {
		return []memberfiles.Member{members[0], members[1], {Name: "micro03", Address: "10.0.0.3:9443", Certificate: cert}}
	}
	for reason, row := range map[string]struct {
		members []memberfiles.Member
		want    error
		text    string
	}{
		"nobody":                {nil, memberfiles.ErrNotListed, "no file names micro01"},
		"this machine is not":   {members[1:], memberfiles.ErrNotListed, "no file names micro01"},
		"other certificate":     {append([]memberfiles.Member{member(newIdentity(t, "micro01"), 1)}, members[1:]...), memberfiles.ErrNotListed, "no file names micro01"},
		"a wrong address":       {[]memberfiles.Member{members[0], {Name: "micro02", Address: "micro02", Certificate: members[1].Certificate}}, memberfiles.ErrFile, "micro02.yaml: address is not host:port"},
		"a name twice":          {append(with(members[2].Certificate), members[1]), memberfiles.ErrFile, "micro02.yaml: name stands twice"},
		"expired":               {with(certificate(t, "micro03", -2*time.Hour, -time.Hour)), memberfiles.ErrFile, "micro03.yaml: certificate is valid from"},
		"not valid yet":         {with(certificate(t, "micro03", time.Hour, 2*time.Hour)), memberfiles.ErrFile, "micro03.yaml: certificate is valid from"},
		"a certificate's names": {with(certificate(t, "other", -time.Hour, time.Hour)), memberfiles.ErrFile, "micro03.yaml: certificate bears the name of the member neither"},
	} {
		t.Run(reason, func(t *testing.T) {
			s := open(t, ids[0])
			for _, err := range []error{
				memberfiles.Found(t.Context(), s, row.members),
				memberfiles.Adopt(t.Context(), s, row.members, strings.NewReader("")),
			} {
				require.ErrorIs(t, err, row.want)
				require.ErrorContains(t, err, row.text)
			}
			_, in := s.Cluster()
			require.False(t, in, "nothing was changed")
		})
	}
}

func TestFoundAndAdopt(t *testing.T) {
	members, ids := newMembers(t, "micro01", "micro02", "micro03")
	first := open(t, ids[0])
	require.NoError(t, memberfiles.Found(t.Context(), first, members))
	require.NoError(t, memberfiles.Compare(first.Snapshot(), members))
	require.ErrorIs(t, memberfiles.Found(t.Context(), first, members), certstore.ErrAlreadyInCluster)
	for m := range first.Snapshot().Members() {
		require.Equal(t, certstore.DefaultRights, m.Rights)
	}

	for i, id := range ids[1:] {
		s := open(t, id)
		require.NoError(t, memberfiles.Adopt(t.Context(), s, members, bytes.NewReader(statements(t, first))))
		_, err := first.Merge(t.Context(), s.Statements())
		require.NoError(t, err)
		require.Equal(t, first.Snapshot().Digest(), s.Snapshot().Digest())
		me, err := s.Snapshot().ByName(id.Name())
		require.NoError(t, err)
		require.Equal(t, []string{members[i+1].Address}, me.Addresses)
		err = memberfiles.Adopt(t.Context(), s, members, bytes.NewReader(statements(t, first)))
		require.ErrorIs(t, err, certstore.ErrAlreadyInCluster)
	}
}

// TestAdoptRefusesStatements: whatever another machine, or whoever is between, makes of them.
func TestAdoptRefusesStatements(t *testing.T) {
	members, ids := newMembers(t, "micro01", "micro02", "micro03")
	founded := func(cfg certstore.BootstrapConfig, by *certstore.Identity, all []memberfiles.Member) *certstore.Store {
		s := open(t, by)
		for _, m := range all {
			if m.Name != by.Name() {
				cfg.Members = append(cfg.Members, certstore.AdmitRequest{Certificate: m.Certificate, Name: m.Name})
			}
		}
		require.NoError(t, s.BootstrapWith(t.Context(), cfg))
		return s
	}
	good := statements(t, founded(certstore.BootstrapConfig{}, ids[0], members))
	stranger := newIdentity(t, "micro04")
	recovery, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	left := founded(certstore.BootstrapConfig{}, stranger, members)
	require.NoError(t, left.Leave(t.Context()), "so that exactly the machines of the files are members")
	other := member(newIdentity(t, "micro03"), 3)

	for reason, row := range map[string]struct {
		statements []byte
		want       error // nil: a *certstore.CorruptError
	}{
		"nothing":               {nil, certstore.ErrIncompleteSet},
		"something else":        {[]byte("hello\n"), certstore.ErrForeignFile},
		"cut short":             {good[:len(good)-1], certstore.ErrIncompleteSet},
		"cut in a second line":  {append(bytes.Clone(good), good[:40]...), certstore.ErrIncompleteSet},
		"a bit is wrong":        {bytes.Replace(good, []byte("micro02"), []byte("micro03"), 1), nil},
		"founded by a stranger": {statements(t, left), memberfiles.ErrForeignStatement},
		"a recovery key":        {statements(t, founded(certstore.BootstrapConfig{Recovery: recovery}, ids[0], members)), memberfiles.ErrForeignStatement},
		"one more":              {statements(t, founded(certstore.BootstrapConfig{}, ids[0], append(members[:3:3], member(stranger, 4)))), memberfiles.ErrDifferent},
		"one less":              {statements(t, founded(certstore.BootstrapConfig{}, ids[0], members[:2])), memberfiles.ErrDifferent},
		"another certificate":   {statements(t, founded(certstore.BootstrapConfig{}, ids[0], []memberfiles.Member{members[0], members[1], other})), memberfiles.ErrDifferent},
	} {
		t.Run(reason, func(t *testing.T) {
			s := open(t, ids[1])
			err := memberfiles.Adopt(t.Context(), s, members, bytes.NewReader(row.statements))
			if row.want == nil {
				require.ErrorAs(t, err, new(*certstore.CorruptError))
			} else {
				require.ErrorIs(t, err, row.want)
			}
			_, in := s.Cluster()
			require.False(t, in, "nothing was changed")
		})
	}
}

func TestCompare(t *testing.T) {
	members, ids := newMembers(t, "micro01", "micro02", "micro03")
	s := open(t, ids[0])
	require.NoError(t, memberfiles.Found(t.Context(), s, members))
	changed := append(members[:2:2], member(newIdentity(t, "micro03"), 3))
	extra := append(members[:2:2], member(newIdentity(t, "micro04"), 4))
	for _, row := range []struct {
		members []memberfiles.Member
		want    memberfiles.DifferenceError
		text    string
	}{
		{changed, memberfiles.DifferenceError{Changed: []string{"micro03"}}, "with another certificate: micro03"},
		{extra, memberfiles.DifferenceError{Missing: []string{"micro04"}, Unknown: []string{"micro03"}}, "only in the files: micro04; only in the store: micro03"},
		{members[:1], memberfiles.DifferenceError{Unknown: []string{"micro02", "micro03"}}, "only in the store: micro02, micro03"},
	} {
		err := memberfiles.Compare(s.Snapshot(), row.members)
		var d *memberfiles.DifferenceError
		require.ErrorAs(t, err, &d)
		require.Equal(t, row.want, *d)
		require.ErrorIs(t, err, memberfiles.ErrDifferent)
		require.EqualError(t, err, memberfiles.ErrDifferent.Error()+"; "+row.text)
	}
	require.NoError(t, memberfiles.Compare(s.Snapshot(), members))
}

func TestExportRefuses(t *testing.T) {
	members, ids := newMembers(t, "micro01", "micro02")
	dir := filepath.Join(t.TempDir(), "members")
	require.NoError(t, memberfiles.Write(dir, members))
	require.ErrorIs(t, memberfiles.Export(dir, open(t, ids[0]).Snapshot()), certstore.ErrNoCluster)

	// Two machines that were admitted under one name at the same time: which of them is meant?
	first, second := open(t, ids[0]), open(t, ids[1])
	require.NoError(t, memberfiles.Found(t.Context(), first, members))
	require.NoError(t, memberfiles.Adopt(t.Context(), second, members, bytes.NewReader(statements(t, first))))
	for _, s := range []*certstore.Store{first, second} {
		_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: newIdentity(t, "micro03").Certificate(), Name: "micro03"})
		require.NoError(t, err)
	}
	_, err := first.Merge(t.Context(), second.Statements())
	require.NoError(t, err)
	require.ErrorIs(t, memberfiles.Export(dir, first.Snapshot()), certstore.ErrNameTaken)
	read, err := memberfiles.Read(dir)
	require.NoError(t, err)
	require.Equal(t, members, read, "nothing was changed")
}

// TestExport follows a cluster from its beginning until a machine is gone: the files are always those of its members.
func TestExport(t *testing.T) {
	members, ids := newMembers(t, "micro01", "micro02", "micro03")
	dir := filepath.Join(t.TempDir(), "members")
	require.NoError(t, memberfiles.Write(dir, members))
	s := open(t, ids[0])
	files := func() []memberfiles.Member {
		require.NoError(t, memberfiles.Export(dir, s.Snapshot()))
		read, err := memberfiles.Read(dir)
		require.NoError(t, err)
		return read
	}
	require.NoError(t, memberfiles.Found(t.Context(), s, members))
	require.Equal(t, members, files(), "who has not adopted yet has published no address and keeps that of its file")

	newcomer := member(newIdentity(t, "micro04"), 4)
	_, err := s.Admit(t.Context(), certstore.AdmitRequest{Certificate: newcomer.Certificate, Name: "micro04"})
	require.NoError(t, err)
	require.Equal(t, members, files(), "nobody can be told where micro04 is before it says so")

	second := open(t, ids[1])
	require.NoError(t, memberfiles.Adopt(t.Context(), second, members, bytes.NewReader(withoutLast(t, s, members))))
	require.NoError(t, second.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"192.0.2.2:1", "192.0.2.3:1"}}))
	_, err = s.Merge(t.Context(), second.Statements())
	require.NoError(t, err)
	members[1].Address = "192.0.2.2:1"
	require.Equal(t, members, files(), "an address that was published counts")

	_, err = s.Remove(t.Context(), certstore.RemoveRequest{Key: ids[2].KeyID(), Keep: certstore.KeepKnown})
	require.NoError(t, err)
	require.Equal(t, members[:2], files(), "who is removed has no file")

	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, memberfiles.Export(empty, s.Snapshot()))
	read, err := memberfiles.Read(empty)
	require.NoError(t, err)
	require.Equal(t, members[:2], read, "a directory is made")
}

// withoutLast returns the statements of a store that make these members and nobody else.
func withoutLast(t *testing.T, s *certstore.Store, members []memberfiles.Member) []byte {
	t.Helper()
	cluster, _ := s.Cluster()
	batch := certstore.Batch{Cluster: cluster}
	for _, statement := range s.Statements() {
		if a, ok := statement.Admit(); !ok || a.Name <= members[len(members)-1].Name {
			batch.Statements = append(batch.Statements, statement)
		}
	}
	var b bytes.Buffer
	require.NoError(t, certstore.WriteStatements(&b, batch))
	return b.Bytes()
}
