package certstore_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// sceneCase is one evaluation of the vectors: a class, a name and a reason, who is trusted in the end by name (written down by
// hand, so that no implementation vouches for itself), and how it comes to that.
type sceneCase struct {
	class, name, why, want string
	write                  func(s *scene, m []*person)
}

const (
	admitOnly  = certstore.MayAdmit
	removeOnly = certstore.MayRemove
)

// sceneCases are all evaluations. In most of them m0 begins the cluster.
func sceneCases(t *testing.T) []sceneCase {
	var all []sceneCase
	for _, part := range [][]sceneCase{
		reachCases(), hostileCases(), removalCases(), rightsCases(), keepCases(), recoveryCases(), lineageCases(), machineCases(), nameCases(),
		profileCases(), signatureCases(), certificateCases(t),
	} {
		all = append(all, part...)
	}
	return all
}

func reachCases() []sceneCase {
	return []sceneCase{
		{"reach", "the first member", "the issuer of the genesis is a member", "m0", func(*scene, []*person) {}},
		{"reach", "no chain", "nobody is trusted without a chain of admits", "m0", func(s *scene, m []*person) { s.admit(m[1], m[2]) }},
		{"reach", "admits itself", "nobody admits itself", "m0", func(s *scene, m []*person) { s.admit(m[1], m[1]) }},
		{"reach", "circle of admits", "a circle of admits without a beginning carries nobody", "m0", func(s *scene, m []*person) {
			s.admit(m[1], m[2])
			s.admit(m[2], m[1])
		}},
		{"reach", "long chain, last first", "the order of statements does not matter", "m0 m1 m2 m3 m4", func(s *scene, m []*person) {
			for i := 3; i >= 0; i-- {
				s.admit(m[i], m[i+1])
			}
		}},
		{"reach", "no genesis", "without the genesis there are no roots", "", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.set, s.about = s.set[1:], s.about[1:]
		}},
		{"reach", "repeated statements", "repetitions play no part", "m0 m1", func(s *scene, m []*person) {
			admit := s.admit(m[0], m[1])
			s.add(s.set[0], "the genesis again")
			s.add(admit, "the admit again")
		}},
		{"reach", "admitted twice", "of several grounds the smallest counts", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], offer(1))
			s.admit(m[0], m[1], offer(2))
			s.admit(m[0], m[1], offer(3))
		}},
		{"reach", "admitted back", "the first member can be admitted like any other, and its smallest ground counts", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[1], m[0], rights(0))
		}},
	}
}

func hostileCases() []sceneCase {
	return []sceneCase{
		{"puppet", "admitted after the expulsion", "what a gone key admits and nobody keeps is void", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.admit(m[1], m[2])
		}},
		{"puppet", "admitted in secret before", "no clock tells before from after, so it is void as well", "m0 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			known := s.admit(m[1], m[3])
			s.admit(m[1], m[2])
			s.remove(m[0], m[1], known)
		}},
		{"puppet", "puppets of a puppet", "a chain through a void admit carries nobody", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.admit(m[1], m[2])
			s.admit(m[2], m[3])
			s.admit(m[3], m[1])
		}},
		{"puppet", "a puppet removes", "the price: who was ever admitted with the right to remove can take away", "", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.admit(m[1], m[2])
			s.remove(m[2], m[0])
		}},
		{"puppet", "heir of an expelled key", "a hand-over by a gone key is void like any admit", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.remove(m[0], m[1])
			s.heir(m[1], m[2])
		}},
		{"puppet", "expelled twice admitted", "an admit of a gone key by a member changes nothing", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.remove(m[0], m[1])
			s.admit(m[2], m[1], offer(1))
		}},
		{"puppet", "the same key in a new certificate", "removals name keys, so a new certificate does not bring one back", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.admit(m[0], m[1], with(certificateFor(s.T, "m1", m[1].Certificate().PublicKey, serial(2))), under("fresh"))
		}},
		{"genesis", "a second one by the first member", "another genesis is another cluster", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.begin(m[0])
		}},
		{"genesis", "a second one by an expelled member", "another genesis is another cluster", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.begin(m[1])
		}},
		{"genesis", "a second one with a recovery key", "its recovery key is nobody here", "m0", func(s *scene, m []*person) {
			s.begin(m[1], recovery(m[2]))
			s.admit(m[2], m[3])
		}},
		{"genesis", "of another key's certificate", "its issuer is a root, and no member without a usable certificate of its own", "m1", func(s *scene, m []*person) {
			s.restart(m[0], func(g *certstore.Genesis) { g.Certificate = m[2].Certificate().Raw })
			s.admit(m[0], m[1])
		}},
		{"genesis", "unusable certificate", "the statement is valid and the certificate is passed over", "m1", func(s *scene, m []*person) {
			s.restart(m[0], func(g *certstore.Genesis) { g.Certificate = []byte{} })
			s.admit(m[0], m[1])
		}},
		{"cluster", "an admit of another", "statements of another cluster are passed over", "m0", func(s *scene, m []*person) {
			s.elsewhere(func(s *scene) { s.admit(m[0], m[1]) })
		}},
		{"cluster", "a removal of another", "statements of another cluster are passed over", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.elsewhere(func(s *scene) { s.remove(m[0], m[1]) })
		}},
		{"cluster", "a profile of another", "statements of another cluster are passed over, whatever their revision", "m0", func(s *scene, m []*person) {
			s.profile(m[0], s.set[0], 1, "a:1")
			s.elsewhere(func(o *scene) { o.profile(m[0], s.set[0], 2, "b:2") })
		}},
	}
}

func removalCases() []sceneCase {
	return []sceneCase{
		{"removal", "by the first member", "the target is no member", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
		}},
		{"removal", "by a stranger", "whoever was never reached removes nobody", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[2], m[1])
		}},
		{"removal", "of a stranger", "who is not yet admitted never will be", "m0", func(s *scene, m []*person) {
			s.remove(m[0], m[1])
			s.admit(m[0], m[1])
		}},
		{"removal", "of the zero key", "no key has that id, and it is not the recovery key that is absent", "m0", func(s *scene, m []*person) {
			s.add(s.sign(m[0], &certstore.Removal{}), "m0 removes the zero key")
		}},
		{"backdated", "by a removed key", "no clock tells before from after, so removals by gone keys count", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.remove(m[0], m[1])
			s.remove(m[1], m[2])
		}},
		{"backdated", "by a key that only a removed one admitted", "step 2 ignores all removals", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[3])
			s.remove(m[0], m[1])
			s.admit(m[1], m[2])
			s.remove(m[2], m[3])
		}},
		{"backdated", "issued in 1970", "when something was issued is a claim that decides nothing", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.remove(m[0], m[1])
			s.at(m[1], 0, removal(m[2].Identity), "m1 removes m2, dated 1970")
			s.at(m[1], 1, admission(m[3].Identity, 3), "m1 admits m3, dated 1970")
		}},
		{"backdated", "issued at the end of time", "when something was issued is a claim that decides nothing", "m0", func(s *scene, m []*person) {
			s.at(m[0], 1<<40, admission(m[1].Identity, 3), "m0 admits m1, dated far ahead")
			s.at(m[0], 0, removal(m[1].Identity), "m0 removes m1, dated 1970")
		}},
		{"removal", "of each other", "both count, and both are gone", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.remove(m[1], m[2])
			s.remove(m[2], m[1])
		}},
		{"removal", "of each other, nobody is left", "a cluster can end", "", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.remove(m[1], m[0])
		}},
		{"removal", "of the first member by itself", "what it keeps carries on", "m1 m2", func(s *scene, m []*person) {
			kept := s.admit(m[0], m[1])
			s.remove(m[0], m[0], kept)
			s.admit(m[1], m[2])
		}},
		{"removal", "a second chain holds", "one chain that holds is enough", "m0 m2 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.admit(m[1], m[3])
			s.admit(m[2], m[3])
			s.remove(m[0], m[1])
		}},
	}
}

func signatureCases() []sceneCase {
	twice := func(curve elliptic.Curve, name string, smallestFirst bool) func(s *scene, m []*person) {
		return func(s *scene, m []*person) {
			key := fixedECDSA(s.T, curve, name)
			p := newPerson(s.T, name, key)
			s.admit(m[0], p)
			signed := s.admit(p, m[1])
			other := certstore.WithSignature(signed, otherSignature(s.T, key, signed.Body()))
			require.NotEqual(s, signed.Signature(), other.Signature())
			if smallestFirst == (string(other.Signature()) < string(signed.Signature())) {
				s.set[len(s.set)-1] = other
				other = signed
			}
			s.add(other, "the same with another valid signature")
		}
	}
	return []sceneCase{
		{"signature", "two of P-256, the smaller first", "of several valid signatures the smallest is held", "m0 m1 p256", twice(elliptic.P256(), "p256", true)},
		{"signature", "two of P-256, the smaller last", "of several valid signatures the smallest is held", "m0 m1 p256", twice(elliptic.P256(), "p256", false)},
		{"signature", "two of P-384, the smaller first", "of several valid signatures the smallest is held", "m0 m1 p384", twice(elliptic.P384(), "p384", true)},
		{"signature", "two of P-384, the smaller last", "of several valid signatures the smallest is held", "m0 m1 p384", twice(elliptic.P384(), "p384", false)},
		{"signature", "three of RSA", "every salt makes another signature, and the smallest is held", "m0 m1 rsa", func(s *scene, m []*person) {
			p := newPerson(s.T, "rsa", fixedRSA(s.T))
			s.admit(m[0], p)
			signed := s.admit(p, m[1])
			for salt := range byte(2) {
				p.Identity, _ = certstore.NewIdentity(p.Chain(), steadySigner{Signer: fixedRSA(s.T), salt: 2 + salt})
				signature, err := p.Sign(signed.Body())
				require.NoError(s, err)
				s.add(certstore.WithSignature(signed, signature), "the same with another salt")
			}
		}},
	}
}
