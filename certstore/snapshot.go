package certstore

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Snapshot is who is trusted at one moment. It is immutable and safe for concurrent use; look-ups take constant time and
// allocate nothing on success, whatever the number of members. The snapshot of a store that is in no cluster is empty and
// trusts nobody. Get one from Store.Snapshot or Evaluate.
type Snapshot struct {
	cluster       ClusterID
	digest        Digest
	sorted        []*Member
	gone          map[KeyID]struct{}
	ever          map[KeyID]Rights   // keys that were ever admitted, and the recovery key
	machines      map[KeyID][]KeyID  // keys that share their machine with others
	byCertificate map[string]*Member // by DER
	byFingerprint map[Fingerprint]*Member
	byKey         map[KeyID]*Member
	byName        map[string]nameEntry
}

// nameEntry is what a name resolves to: a member, or the conflict of several.
type nameEntry struct {
	member   *Member
	conflict *NameConflictError
}

// newSnapshot returns the snapshot of these members, at most one for each key. It takes ownership of members and gone.
func newSnapshot(cluster ClusterID, members []*Member, gone map[KeyID]struct{}, digest Digest) *Snapshot {
	s := &Snapshot{
		cluster:       cluster,
		digest:        digest,
		sorted:        members,
		gone:          gone,
		byCertificate: make(map[string]*Member, len(members)),
		byFingerprint: make(map[Fingerprint]*Member, len(members)),
		byKey:         make(map[KeyID]*Member, len(members)),
		byName:        make(map[string]nameEntry, len(members)),
	}
	slices.SortFunc(s.sorted, func(a, b *Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.Fingerprint[:], b.Fingerprint[:]))
	})
	for _, m := range s.sorted {
		s.byCertificate[string(m.Certificate.Raw)] = m
		s.byFingerprint[m.Fingerprint] = m
		s.byKey[m.Key] = m
	}
	for rest := s.sorted; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Name == rest[0].Name {
			n++
		}
		s.byName[rest[0].Name] = resolveName(rest[:n])
		rest = rest[n:]
	}
	return s
}

// resolveName is step 7 of docs/trust-store.md, "Evaluation": it decides which of the holders of one name it means: the
// only one, or the newest of one lineage.
func resolveName(holders []*Member) nameEntry {
	replaced := make(map[KeyID]struct{}, len(holders))
	for _, m := range holders {
		if m.ancestor() != holders[0].ancestor() {
			return nameEntry{conflict: conflictOf(holders)}
		}
		if m.Replaces != m.Key { // a predecessor of another holder, not of itself
			replaced[m.Replaces] = struct{}{}
		}
	}
	var newest *Member
	for _, m := range holders {
		if _, old := replaced[m.Key]; old {
			continue
		}
		if newest != nil {
			return nameEntry{conflict: conflictOf(holders)}
		}
		newest = m
	}
	if newest == nil {
		return nameEntry{conflict: conflictOf(holders)}
	}
	return nameEntry{member: newest}
}

func conflictOf(holders []*Member) *NameConflictError {
	conflict := &NameConflictError{Name: holders[0].Name}
	for _, m := range holders {
		conflict.Holders = append(conflict.Holders, m.Fingerprint)
	}
	return conflict
}

// Cluster returns the id of the cluster, zero if the store is in none.
func (s *Snapshot) Cluster() ClusterID { return s.cluster }

// Digest returns the digest of the statements behind the snapshot, zero if the store is in no cluster.
func (s *Snapshot) Digest() Digest { return s.digest }

// Len returns the number of members.
func (s *Snapshot) Len() int { return len(s.sorted) }

// Members iterates over the members, sorted by name and then by fingerprint.
func (s *Snapshot) Members() iter.Seq[*Member] { return slices.Values(s.sorted) }

// ByFingerprint returns the member whose certificate has this fingerprint.
func (s *Snapshot) ByFingerprint(fingerprint Fingerprint) (*Member, bool) {
	m, ok := s.byFingerprint[fingerprint]
	return m, ok
}

// ByKey returns the member whose certificate has this key.
func (s *Snapshot) ByKey(key KeyID) (*Member, bool) {
	m, ok := s.byKey[key]
	return m, ok
}

// ByCertificate returns the member whose certificate is exactly raw, in DER, such as the Raw of the first certificate that
// a peer proved possession of. This is what authorises a connection or a request; it needs no hash and no allocation.
func (s *Snapshot) ByCertificate(raw []byte) (*Member, bool) {
	m, ok := s.byCertificate[string(raw)]
	return m, ok
}

// ByName returns the member that holds name. While a machine rotates its key, both certificates bear the name, and it
// resolves to the newer. The error wraps ErrUnknownMember if nobody holds it, and is a *NameConflictError, wrapping
// ErrNameTaken, if several machines do: then the name means none of them.
func (s *Snapshot) ByName(name string) (*Member, error) {
	entry, ok := s.byName[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %w", ErrUnknownMember, newFieldError("name", name, "is held by no member"))
	case entry.conflict != nil:
		conflict := *entry.conflict
		conflict.Holders = slices.Clone(conflict.Holders)
		return nil, &conflict
	default:
		return entry.member, nil
	}
}

// Trusts reports whether a member has a certificate with this fingerprint.
func (s *Snapshot) Trusts(fingerprint Fingerprint) bool {
	_, ok := s.byFingerprint[fingerprint]
	return ok
}

// Gone reports whether key was removed. A key that is gone never becomes a member again.
func (s *Snapshot) Gone(key KeyID) bool {
	_, ok := s.gone[key]
	return ok
}

// Machine returns all keys of the machine that key belongs to, ascending, those that are gone included: a machine gets
// further keys by rotation. It returns nil for a key that was never admitted. The caller owns the slice. See
// docs/trust-store.md, "Machines".
func (s *Snapshot) Machine(key KeyID) []KeyID {
	if keys := s.machines[key]; keys != nil {
		return slices.Clone(keys)
	}
	if _, known := s.ever[key]; known {
		return []KeyID{key}
	}
	return nil
}
