package certstore_test

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// result is all that follows from a set of statements, as testdata/vectors/evaluation.json spells it, so that two
// implementations can be compared.
type result struct {
	Digest   hash           `json:"digest"`
	Held     []int          `json:"held"`
	Members  []memberResult `json:"members,omitempty"`
	Gone     []hash         `json:"gone,omitempty"`
	Names    []nameResult   `json:"names,omitempty"`
	Machines [][]hash       `json:"machines,omitempty"`
}

type memberResult struct {
	Name        string            `json:"name"`
	Fingerprint hash              `json:"fingerprint"`
	Key         hash              `json:"key"`
	Rights      uint64            `json:"rights"`
	AdmittedBy  hash              `json:"admitted_by"`
	Grounds     hash              `json:"grounds"`
	Replaces    hash              `json:"replaces,omitzero"`
	Lineage     hash              `json:"lineage"`
	Offer       hash              `json:"offer,omitzero"`
	HasProfile  bool              `json:"has_profile,omitempty"`
	Addresses   []string          `json:"addresses,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
}

type nameResult struct {
	Name     string `json:"name"`
	Member   hash   `json:"member,omitzero"`
	Conflict []hash `json:"conflict,omitempty"`
}

// sort brings a result into its one form.
func (r *result) sort() {
	slices.SortFunc(r.Machines, func(a, b []hash) int { return compareHashes(a[0], b[0]) })
	slices.SortFunc(r.Gone, compareHashes)
	slices.SortFunc(r.Members, func(a, b memberResult) int {
		if a.Name != b.Name {
			return bytes.Compare([]byte(a.Name), []byte(b.Name))
		}
		return compareHashes(a.Fingerprint, b.Fingerprint)
	})
	for i := range r.Members {
		if m := &r.Members[i]; len(m.Attributes) == 0 {
			m.Attributes = nil
		}
		if m := &r.Members[i]; len(m.Addresses) == 0 {
			m.Addresses = nil
		}
	}
}

// positions finds statements in the set that they come from: the first that is the same to the byte.
func positions(set, held []*certstore.Statement) []int {
	type place struct{ id, signature string }
	at := make(map[place]int, len(set))
	of := func(s *certstore.Statement) place {
		id := s.ID()
		return place{string(id[:]), string(s.Signature())}
	}
	for i, s := range set {
		if _, again := at[of(s)]; s != nil && !again {
			at[of(s)] = i
		}
	}
	var out []int
	for _, s := range held {
		i, ok := at[of(s)]
		if !ok {
			i = -1
		}
		out = append(out, i)
	}
	return out
}

// resultOf reads a snapshot through what it offers to everybody, and through the machines behind its members. keys are
// all that may be gone or part of a machine; held is what a store that was given set holds.
func resultOf(t require.TestingT, s *certstore.Snapshot, set, held []*certstore.Statement, keys []certstore.KeyID) result {
	out := result{Digest: hash(s.Digest()), Held: positions(set, held)}
	for _, key := range keys {
		if s.Gone(key) {
			out.Gone = append(out.Gone, hash(key))
		}
		if keys := s.Machine(key); len(keys) > 1 && keys[0] == key {
			var machine []hash
			for _, k := range keys {
				machine = append(machine, hash(k))
				require.Equal(t, keys, s.Machine(k))
			}
			out.Machines = append(out.Machines, machine)
		}
	}
	var names []string
	for m := range s.Members() {
		out.Members = append(out.Members, memberResult{
			Name: m.Name, Fingerprint: hash(m.Fingerprint), Key: hash(m.Key), Rights: uint64(m.Rights),
			AdmittedBy: hash(m.AdmittedBy), Grounds: hash(m.Admit), Replaces: hash(m.Replaces), Lineage: hash(certstore.AncestorOf(m)),
			Offer: hash(m.Offer), HasProfile: m.HasProfile, Addresses: m.Addresses, Attributes: m.Attributes,
		})
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
		if hash(m.Fingerprint) != sha256.Sum256(m.Certificate.Raw) || hash(m.Key) != sha256.Sum256(m.Certificate.RawSubjectPublicKeyInfo) {
			require.Fail(t, "a member that is not its certificate", "%v", m)
		}
		byKey, ok := s.ByKey(m.Key)
		byCertificate, alike := s.ByCertificate(m.Certificate.Raw)
		if !ok || !alike || byKey != m || byCertificate != m || !s.Trusts(m.Fingerprint) {
			require.Fail(t, "a member that is not found", "%v", m)
		}
	}
	for _, name := range names {
		out.Names = append(out.Names, nameOf(t, s, name))
	}
	before := slices.Clone(out.Members)
	if out.sort(); !slices.EqualFunc(before, out.Members, func(a, b memberResult) bool { return a.Key == b.Key }) {
		require.Fail(t, "members are out of order")
	}
	return out
}

func nameOf(t require.TestingT, s *certstore.Snapshot, name string) nameResult {
	n := nameResult{Name: name}
	m, err := s.ByName(name)
	if err == nil {
		n.Member = hash(m.Fingerprint)
		return n
	}
	var conflict *certstore.NameConflictError
	require.ErrorAs(t, err, &conflict)
	for _, holder := range conflict.Holders {
		n.Conflict = append(n.Conflict, hash(holder))
	}
	return n
}

// keysIn returns every key that a set of statements names, each once.
func keysIn(set []*certstore.Statement) (keys []certstore.KeyID) {
	seen := map[certstore.KeyID]bool{}
	add := func(key certstore.KeyID) {
		if !seen[key] {
			seen[key], keys = true, append(keys, key)
		}
	}
	for _, s := range set {
		if s == nil {
			continue
		}
		add(s.Issuer())
		if a, ok := s.Admit(); ok {
			add(a.Subject)
		}
		if r, ok := s.Remove(); ok {
			add(r.Target)
		}
	}
	return keys
}

// requireDocument compares what the package makes of a set with what the second implementation makes of it.
func requireDocument(t require.TestingT, cluster certstore.ClusterID, set []*certstore.Statement) result {
	encoded := make([][]byte, len(set))
	for i, s := range set {
		encoded[i], _ = s.MarshalBinary()
	}
	want := docEvaluate(hash(cluster), encoded, remembered)
	got := resultOf(t, certstore.Evaluate(cluster, set), set, certstore.Held(cluster, set), keysIn(set))
	if !reflect.DeepEqual(want, got) {
		require.Equal(t, want, got)
	}
	return got
}

type usability struct {
	key    hash
	usable bool
}

// remembered is docUsable, which takes its time.
func remembered(der []byte) (hash, bool) {
	if known, ok := certificatesSeen().Load(string(der)); ok {
		return known.(usability).key, known.(usability).usable
	}
	key, usable := docUsable(der)
	certificatesSeen().Store(string(der), usability{key, usable})
	return key, usable
}

var certificatesSeen = sync.OnceValue(func() *sync.Map { return new(sync.Map) })
