package memberfiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// compared is what the statements of Found say of how fingerprints were compared.
const compared = "member file"

// maxStatements bounds what Adopt reads, in bytes: more than a store of 10,000 members.
const maxStatements = 64 << 20

// Found begins a cluster on this machine in which exactly these members, itself among them, are members with all rights. It
// is durable when it returns, and has changed nothing if it returns an error. Run it on one machine alone; the others Adopt.
//
// Errors: certstore.ErrAlreadyInCluster; ErrNotListed if this machine's own name and certificate are not among the members;
// a *FieldError, one for each member joined, that breaks a rule, or whose machine could not use the cluster: its
// certificate is not valid now, or does not bear its name; and those of certstore's BootstrapWith.
func Found(ctx context.Context, store *certstore.Store, members []Member) error {
	me, err := ready(store, members)
	if err != nil {
		return err
	}
	cfg := certstore.BootstrapConfig{Addresses: []string{me.Address}}
	for _, m := range members {
		if m.Name != me.Name {
			cfg.Members = append(cfg.Members, certstore.AdmitRequest{Certificate: m.Certificate, Name: m.Name, Compared: compared})
		}
	}
	return store.BootstrapWith(ctx, cfg)
}

// Adopt takes this machine into the cluster that another one has founded, from statements as certstore.WriteStatements
// writes them. They may come over any channel: each must be signed by a machine that the members name, and together they
// must make exactly these members, or nothing is changed. The members are those of this machine's own files.
//
// Errors: certstore.ErrAlreadyInCluster, ErrNotListed, *FieldError as Found; ErrForeignStatement; *DifferenceError; those of
// certstore.ReadStatements and of Store.Adopt.
func Adopt(ctx context.Context, store *certstore.Store, members []Member, statements io.Reader) error {
	me, err := ready(store, members)
	if err != nil {
		return err
	}
	file, err := certstore.ReadStatements(io.LimitReader(statements, maxStatements))
	if err != nil {
		return err
	}
	if file.Unfinished > 0 || file.Lines == 0 {
		return fmt.Errorf("%w: they were cut short; fetch them again", certstore.ErrIncompleteSet)
	}
	if err := signedBy(members, file.Statements); err != nil {
		return err
	}
	snapshot := certstore.Evaluate(file.Cluster, file.Statements)
	if err := Compare(snapshot, members); err != nil {
		return err
	}
	_, err = store.Adopt(ctx, certstore.AdoptRequest{
		Cluster: file.Cluster, Digest: snapshot.Digest(), Statements: file.Statements, Addresses: []string{me.Address},
	})
	return err
}

// signedBy returns an error unless all statements are by members, and nobody else will ever have a say.
func signedBy(members []Member, statements []*certstore.Statement) error {
	keys := map[certstore.KeyID]bool{}
	for _, m := range members {
		keys[certstore.KeyIDOf(m.Certificate)] = true
	}
	for _, s := range statements {
		if !keys[s.Issuer()] {
			return fmt.Errorf("%w: %v by key %v", ErrForeignStatement, s.Kind(), s.Issuer())
		}
		if genesis, ok := s.Genesis(); ok && len(genesis.Recovery) > 0 {
			return fmt.Errorf("%w: the cluster has a recovery key", ErrForeignStatement)
		}
	}
	return nil
}

// ready returns this machine's own entry, or why the members cannot become a cluster with it.
func ready(store *certstore.Store, members []Member) (Member, error) {
	if cluster, in := store.Cluster(); in {
		return Member{}, fmt.Errorf("%w: %v", certstore.ErrAlreadyInCluster, cluster)
	}
	if err := check(members); err != nil {
		return Member{}, err
	}
	var bad []error
	for _, m := range members {
		if rule := m.unusable(time.Now()); rule != "" {
			bad = append(bad, &FieldError{File: m.fileName(), Field: "certificate", Rule: rule})
		}
	}
	if err := errors.Join(bad...); err != nil {
		return Member{}, err
	}
	id := store.Identity()
	for _, m := range members {
		if m.Name == id.Name() && m.Certificate.Equal(id.Certificate()) {
			return m, nil
		}
	}
	return Member{}, fmt.Errorf("%w: no file names %s with certificate %s", ErrNotListed, id.Name(), id.Fingerprint())
}

// unusable returns why the machine of a file could not be a member with its certificate, or "".
func (m Member) unusable(now time.Time) string {
	cert := m.Certificate
	switch {
	case now.Before(cert.NotBefore) || now.After(cert.NotAfter):
		return fmt.Sprintf("is valid from %s to %s, and so distrusted now: give the machine another one first",
			cert.NotBefore.UTC().Format(time.RFC3339), cert.NotAfter.UTC().Format(time.RFC3339))
	case cert.Subject.CommonName != m.Name && !slices.Contains(cert.DNSNames, m.Name):
		return "bears the name of the member neither as common name nor as DNS name: give the machine another one first"
	}
	return ""
}

// Compare returns nil if the snapshot has exactly these members, with these names and certificates, or a *DifferenceError.
// Addresses are not compared.
func Compare(snapshot *certstore.Snapshot, members []Member) error {
	var d DifferenceError
	listed := map[string]Member{}
	for _, m := range members {
		listed[m.Name] = m
	}
	here := map[string]bool{}
	for m := range snapshot.Members() {
		file, ok := listed[m.Name]
		switch {
		case !ok:
			d.Unknown = append(d.Unknown, m.Name)
		case here[m.Name] || !file.Certificate.Equal(m.Certificate):
			d.Changed = append(d.Changed, m.Name)
		}
		here[m.Name] = true
	}
	for _, m := range members {
		if !here[m.Name] {
			d.Missing = append(d.Missing, m.Name)
		}
	}
	if len(d.Missing)+len(d.Unknown)+len(d.Changed) > 0 {
		return &d
	}
	return nil
}

// Export makes the files of a directory those of the snapshot's members, as Write does. The address is the first that the
// member has published. One that has published none yet keeps the address of its present file, if that is of the same
// machine, and is otherwise left out until it has: call Export for every snapshot that Store.Watch yields. While a
// machine changes its key, its file has the certificate that its name means.
//
// Errors: certstore.ErrNoCluster for the snapshot of a store that is in none, which would delete all files; certstore.ErrNameTaken
// if several machines hold one name, and nothing is changed then; those of Read and Write.
func Export(dir string, snapshot *certstore.Snapshot) error {
	if snapshot.Cluster().IsZero() {
		return fmt.Errorf("memberfiles: export: %w", certstore.ErrNoCluster)
	}
	before, err := present(dir)
	if err != nil {
		return err
	}
	var members []Member
	for m := range snapshot.Members() {
		means, err := snapshot.ByName(m.Name)
		if err != nil {
			return err
		}
		if means.Key != m.Key {
			continue // a key that another one of the same machine took over from
		}
		file := Member{Name: m.Name, Certificate: m.Certificate}
		if len(m.Addresses) > 0 {
			file.Address = m.Addresses[0]
		} else if old, ok := before[m.Name]; ok && slices.Contains(snapshot.Machine(m.Key), certstore.KeyIDOf(old.Certificate)) {
			file.Address = old.Address
		}
		if file.Address != "" {
			members = append(members, file)
		}
	}
	return Write(dir, members)
}

// present returns by name what a directory names now: nothing if it does not exist.
func present(dir string) (map[string]Member, error) {
	members, err := Read(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	byName := map[string]Member{}
	for _, m := range members {
		byName[m.Name] = m
	}
	return byName, nil
}
