package certstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
)

// This file is a second implementation of docs/trust-store.md, section "Evaluation", written from the document alone and as
// plainly as possible: loops over everything until nothing changes. It takes statements as valid, as the document does.

// docUsable returns the id of a certificate's key, and whether the certificate can be used: section "Certificates".
func docUsable(der []byte) (hash, bool) {
	cert, err := x509.ParseCertificate(der)
	if err != nil || len(der) > 16<<10 || cert.Version != 3 {
		return hash{}, false
	}
	good := false
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		good = key.Curve == elliptic.P256() || key.Curve == elliptic.P384()
	case ed25519.PublicKey:
		good = true
	case *rsa.PublicKey:
		good = key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192 && key.N.Bit(0) == 1 && key.E%2 == 1 && key.E >= 3
	}
	anew, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	return sha256.Sum256(anew), good && err == nil && bytes.Equal(anew, cert.RawSubjectPublicKeyInfo)
}

// docDialled says whether an address can be dialled: step 6.
func docDialled(address string) bool {
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || number == 0 || net.JoinHostPort(host, strconv.FormatUint(number, 10)) != address {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String() == host && ip.Zone() == "" && !ip.Is4In6() && !ip.IsUnspecified() && !ip.IsMulticast()
	}
	return len(host) <= 253 && docName.MatchString(host) && !docNumeric.MatchString(host)
}

var (
	docName    = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	docNumeric = regexp.MustCompile(`(^|\.)([0-9]*|0x[0-9a-f]*)$`)
)

// docEvaluate follows the steps over encoded statements. usable is docUsable, or remembers what that said.
func docEvaluate(cluster hash, encoded [][]byte, usable func(der []byte) (hash, bool)) result {
	// 1. History.
	history := map[hash]*docStatement{}
	for i, e := range encoded {
		s := docParse(i, e)
		if other := history[s.id]; s.cluster == cluster && (other == nil || bytes.Compare(s.signature, other.signature) < 0) {
			history[s.id] = s
		}
	}
	profile := map[hash]*docStatement{}
	for _, s := range history {
		other := profile[s.issuer]
		if s.kind == "profile" && (other == nil || s.revision > other.revision ||
			s.revision == other.revision && compareHashes(s.id, other.id) < 0) {
			profile[s.issuer] = s
		}
	}
	var all []*docStatement
	var genesis *docStatement
	var roots []hash
	var recovery hash
	for id, s := range history {
		if s.kind == "profile" && profile[s.issuer].id != id {
			continue
		}
		all = append(all, s)
		if s.kind == "genesis" {
			genesis, roots = s, append(roots, s.issuer)
			if len(s.recovery) > 0 {
				recovery = sha256.Sum256(s.recovery)
				roots = append(roots, recovery)
			}
		}
	}
	slices.SortFunc(all, func(a, b *docStatement) int { return compareHashes(a.id, b.id) })

	reach := func(follow func(admit *docStatement, held uint64) bool) map[hash]uint64 {
		rights := map[hash]uint64{}
		for _, root := range roots {
			rights[root] = 3
		}
		for added := true; added; {
			added = false
			for _, s := range all {
				held, reached := rights[s.issuer]
				if s.kind != "admit" || !reached || !follow(s, held) {
					continue
				}
				had, known := rights[s.subject]
				rights[s.subject] = had | s.rights&held
				added = added || !known || rights[s.subject] != had
			}
		}
		return rights
	}
	// 2. Ever.
	ever := reach(func(s *docStatement, held uint64) bool { return held&1 != 0 || s.replaces == s.issuer })
	// 3. Removals.
	removals := map[hash][]*docStatement{}
	for _, s := range all {
		held, reached := ever[s.issuer]
		if s.kind == "remove" && reached && (held&2 != 0 || s.target == s.issuer) && (s.target != recovery || recovery == hash{}) {
			removals[s.target] = append(removals[s.target], s)
		}
	}
	// 4. Live.
	follow := func(s *docStatement, held uint64) bool {
		for _, removal := range removals[s.issuer] {
			if !slices.Contains(removal.keep, s.id) {
				return false
			}
		}
		if held&1 != 0 {
			return true
		}
		for _, other := range all { // ascending by id
			if other.kind == "admit" && other.issuer == s.issuer && other.replaces == s.issuer {
				return other == s
			}
		}
		return false
	}
	live := reach(follow)
	// 5. Grounds.
	type named struct {
		key  hash
		name string
	}
	own := map[named]bool{}
	if genesis != nil {
		own[named{genesis.issuer, genesis.name}] = true
	}
	for range all { // names go at least one step further each time
		for _, s := range all {
			if held, reached := live[s.issuer]; s.kind == "admit" && reached && follow(s, held) && (s.replaces != s.issuer || held&1 != 0 || own[named{s.issuer, s.name}]) {
				own[named{s.subject, s.name}] = true
			}
		}
	}
	chosen := map[hash]*docStatement{}
	for _, s := range all {
		key := s.subject
		if s == genesis {
			key = s.issuer
		} else if held, reached := live[s.issuer]; s.kind != "admit" || !reached || !follow(s, held) {
			continue
		}
		if of, ok := usable(s.certificate); !ok || of != key || !own[named{key, s.name}] {
			continue
		}
		rank := func(s *docStatement) int {
			switch {
			case s == nil:
				return 0
			case profile[key] != nil && profile[key].cited == s.id:
				return 3
			case s.replaces == hash{}:
				return 2
			}
			return 1
		}
		if rank(s) > rank(chosen[key]) {
			chosen[key] = s
		}
	}
	out := docResult(cluster, all, profile, removals, live, chosen)
	out.Machines = docMachines(all, profile, ever, recovery)
	out.sort()
	return out
}

// docResult draws the conclusions: steps 6 and 7, and section "Digest".
func docResult(cluster hash, all []*docStatement, profile map[hash]*docStatement, removals map[hash][]*docStatement, live map[hash]uint64, chosen map[hash]*docStatement) result {
	var out result
	digest := docFields([]byte("microtrust/2 digest of a trust store"), docNumber(1), cluster[:], docNumber(uint64(len(all))))
	for _, s := range all {
		out.Held = append(out.Held, s.index)
		digest = append(digest, docFields(s.id[:])...)
	}
	out.Digest = sha256.Sum256(digest)
	for key := range removals {
		out.Gone = append(out.Gone, key)
	}
	predecessor := func(key hash) hash {
		if chosen[key] == nil {
			return hash{}
		}
		return chosen[key].replaces
	}
	// lineage is the key that a chain begins with, or the smallest of the circle that it runs into.
	lineage := func(key hash) hash {
		var chain []hash
		for ; !slices.Contains(chain, key); key = predecessor(key) {
			if chain = append(chain, key); predecessor(key) == (hash{}) {
				return key
			}
		}
		return slices.MinFunc(chain[slices.Index(chain, key):], compareHashes)
	}
	for key, s := range chosen {
		if removals[key] != nil {
			continue
		}
		m := memberResult{Name: s.name, Fingerprint: sha256.Sum256(s.certificate), Key: key, Rights: live[key],
			AdmittedBy: s.issuer, Grounds: s.id, Replaces: s.replaces, Offer: s.offer, Lineage: lineage(key), Attributes: map[string]string{}}
		if p := profile[key]; p != nil {
			m.HasProfile, m.Attributes = true, p.attributes
			m.Addresses = slices.DeleteFunc(slices.Clone(p.addresses), func(a string) bool { return !docDialled(a) })
		}
		out.Members = append(out.Members, m)
	}
	out.sort()
	for _, m := range out.Members {
		holders := slices.DeleteFunc(slices.Clone(out.Members), func(o memberResult) bool { return o.Name != m.Name })
		if holders[0].Key != m.Key {
			continue // this name is done
		}
		newest := slices.DeleteFunc(slices.Clone(holders), func(o memberResult) bool {
			return slices.ContainsFunc(holders, func(h memberResult) bool { return h.Key != o.Key && h.Replaces == o.Key })
		})
		one := !slices.ContainsFunc(holders, func(o memberResult) bool { return o.Lineage != m.Lineage })
		n := nameResult{Name: m.Name}
		switch {
		case len(holders) == 1:
			n.Member = m.Fingerprint
		case one && len(newest) == 1:
			n.Member = newest[0].Fingerprint
		default:
			for _, o := range holders {
				n.Conflict = append(n.Conflict, o.Fingerprint)
			}
		}
		out.Names = append(out.Names, n)
	}
	return out
}

// docMachines follows section "Machines".
func docMachines(all []*docStatement, profile map[hash]*docStatement, ever map[hash]uint64, recovery hash) (machines [][]hash) {
	of := func(key hash) int {
		return slices.IndexFunc(machines, func(keys []hash) bool { return slices.Contains(keys, key) })
	}
	for _, s := range all {
		_, reached := ever[s.issuer]
		p := profile[s.subject]
		if s.kind != "admit" || s.replaces != s.issuer || !reached || recovery != (hash{}) && (s.issuer == recovery || s.subject == recovery) || p == nil {
			continue
		}
		otherwise := slices.ContainsFunc(all, func(o *docStatement) bool {
			_, reached := ever[o.issuer]
			return o.kind == "genesis" && o.issuer == s.subject ||
				o.kind == "admit" && reached && o.replaces == hash{} && o.subject == s.subject && o.issuer != s.subject
		})
		if p.cited != s.id && otherwise {
			continue
		}
		keys := []hash{s.issuer, s.subject}
		for _, key := range keys {
			if i := of(key); i >= 0 {
				keys = append(keys, machines[i]...)
				machines = slices.Delete(machines, i, i+1)
			}
		}
		slices.SortFunc(keys, compareHashes)
		if keys = slices.Compact(keys); len(keys) > 1 {
			machines = append(machines, keys)
		}
	}
	return machines
}
