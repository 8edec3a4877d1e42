package certstore_test

import (
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"testing"
)

func lineageCases() []sceneCase {
	return []sceneCase{
		{"lineage", "one rotation", "during a rotation the name means the newer key", "m1 m1", func(s *scene, m []*person) {
			kept := s.admit(m[0], m[1])
			s.remove(m[0], m[0], kept)
			s.heir(m[1], m[2], under("m1"))
		}},
		{"lineage", "a chain of three", "the name means the one that is no predecessor of another holder", "m0 m1 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2], under("m1"))
			s.heir(m[2], m[3], under("m1"))
		}},
		{"lineage", "the old key is gone", "who is gone holds no name, and still belongs to the machine", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			two := s.heir(m[1], m[2], under("m1"))
			s.heir(m[2], m[3], under("m1"))
			s.remove(m[1], m[1], two)
		}},
		{"lineage", "the middle key is gone", "predecessors are direct: two holders that no holder replaces", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2], under("m1"))
			three := s.heir(m[2], m[3], under("m1"))
			s.remove(m[2], m[2], three)
		}},
		{"lineage", "a fork", "two heirs are one machine, and neither is the newer", "m0 m1 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2], under("m1"))
			s.heir(m[1], m[3], under("m1"))
		}},
		{"lineage", "a circle", "keys of one circle are one machine, and none is the newest", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			back := s.heir(m[2], m[1], under("m1"))
			s.heir(m[1], m[2], under("m1"))
			s.profile(m[1], back, 1)
		}},
		{"lineage", "behind a circle", "a chain that runs into a circle belongs to it", "m0 m1 m2 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			back := s.heir(m[2], m[1])
			s.heir(m[1], m[2])
			s.profile(m[1], back, 1)
			s.heir(m[2], m[3])
		}},
		{"lineage", "a long way behind a circle", "whatever leads into a circle belongs to it, however small its key", "m0 m1 m2 m3 m4 m5 m6", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			back := s.heir(m[2], m[1])
			s.heir(m[1], m[2])
			s.profile(m[1], back, 1)
			for i := 2; i < 6; i++ {
				s.heir(m[i], m[i+1])
			}
		}},
		{"lineage", "replaces itself", "nobody is a predecessor of another by replacing itself: the only holder has the name", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.profile(m[1], s.heir(m[1], m[1]), 1)
		}},
		{"lineage", "replaces itself, with an heir", "the heir is the newer of two", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.profile(m[1], s.heir(m[1], m[1]), 1)
			s.heir(m[1], m[2], under("m1"))
		}},
		{"lineage", "chosen grounds decide", "who is also admitted anew and goes by that is a machine of its own", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2], under("m1"))
			s.profile(m[2], s.admit(m[0], m[2], under("m1")), 1)
		}},
		{"lineage", "a predecessor that nobody reached", "an heir of a key that is not live is not live", "m0", func(s *scene, m []*person) {
			s.heir(m[1], m[2], under("m1"))
		}},
		{"lineage", "two names", "another name of the same machine is a name of its own", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2])
		}},
	}
}

func machineCases() []sceneCase {
	return []sceneCase{
		{"machine", "a successor without a profile", "a key that says nothing is nobody's successor", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2])
		}},
		{"machine", "a successor with a profile", "who is admitted by a hand-over alone stands by it, whatever its profile cites", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2])
			s.profile(m[2], s.set[0], 1)
		}},
		{"machine", "a declared successor that goes by another admission", "declaring another's key one's successor takes nothing over", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			own := s.admit(m[0], m[2])
			s.heir(m[1], m[2])
			s.profile(m[2], own, 1)
		}},
		{"machine", "a successor that cites the hand-over", "it takes the word of both", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.profile(m[2], s.heir(m[1], m[2]), 1)
		}},
		{"machine", "admitted otherwise by a stranger", "only reached keys give another admission", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2])
			s.admit(m[5], m[2])
			s.profile(m[2], s.set[0], 1)
		}},
		{"machine", "admits itself otherwise", "a key's own admit gives it no other admission", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2])
			s.profile(m[2], s.admit(m[2], m[2]), 1)
		}},
		{"machine", "of a stranger", "only hand-overs by reached keys count", "m0", func(s *scene, m []*person) {
			s.profile(m[2], s.heir(m[1], m[2]), 1)
		}},
		{"machine", "three keys, two of them gone", "keys that are gone belong to it", "m0 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			two := s.heir(m[1], m[2])
			three := s.heir(m[2], m[3])
			s.profile(m[2], two, 1)
			s.profile(m[3], three, 1)
			s.remove(m[1], m[1], two)
			s.remove(m[2], m[2], three)
		}},
		{"machine", "the first member's", "the genesis is another admission, unless the profile cites the hand-over", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.profile(m[0], s.heir(m[1], m[0]), 1)
			s.heir(m[2], m[0])
		}},
		{"machine", "of the recovery key", "the recovery key is nobody's machine", "m0 m1 m7", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.profile(m[1], s.heir(m[7], m[1]), 1)
			s.profile(m[7], s.heir(m[0], m[7]), 1)
		}},
		{"machine", "a hand-over that does not hold", "who ever took over belongs to the machine", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.profile(m[2], s.heir(m[1], m[2]), 1)
			s.remove(m[0], m[1])
		}},
	}
}

func nameCases() []sceneCase {
	return []sceneCase{
		{"name", "of two machines", "a name that several machines hold means nobody, and both are trusted", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], under("m1"))
		}},
		{"name", "of the first member", "the first member's name is no better than others", "m0 m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1], under("m0"))
		}},
		{"name", "the other holder is removed", "removing one holder gives the name back", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], under("m1"))
			s.remove(m[0], m[2])
		}},
		{"name", "the other holder goes by another", "the profile decides which of its names a key goes by", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], under("m1"))
			s.profile(m[2], s.admit(m[0], m[2]), 1)
		}},
		{"name", "of a circle, and another", "two lineages hold it, so it means nobody, though only one of the holders replaces none", "m0 m1 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			back := s.heir(m[2], m[1], under("m1"))
			s.heir(m[1], m[2], under("m1"))
			s.profile(m[1], back, 1)
			s.admit(m[0], m[3], under("m1"))
		}},
		{"name", "of a machine and its heir, and another", "the heir does not settle what another machine disputes", "m0 m1 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.heir(m[1], m[2], under("m1"))
			s.admit(m[0], m[3], under("m1"))
		}},
	}
}

func profileCases() []sceneCase {
	return []sceneCase{
		{"profile", "addresses and attributes", "a member says where it is reached", "m0", func(s *scene, m []*person) {
			s.profile(m[0], s.set[0], 1, "10.0.0.1:9443", "[2001:db8::1]:1", "micro01.example:65535")
		}},
		{"profile", "addresses that cannot be dialled", "they are left out, the others stay", "m0", func(s *scene, m []*person) {
			s.profile(m[0], s.set[0], 1, "nowhere", "a:0", "a:65536", "a:01", "A:1", "0.0.0.0:1", "[::]:1", "[::ffff:10.0.0.1]:1", "[::1%eth0]:1", "[0::1]:1",
				"::1:1", "224.0.0.1:1", "1.2.3:4")
			s.profile(m[0], s.set[0], 2, "ok:1", "-a:1", "a.:1", "010.0.0.1:1", "[ff02::1]:1", "x:+1", "x:", ":1", "a b:1", "last:2")
		}},
		{"profile", "superseded", "the highest revision counts, the others are superseded", "m0", func(s *scene, m []*person) {
			s.profile(m[0], s.set[0], 2, "b:2")
			s.profile(m[0], s.set[0], 3, "c:3")
			s.profile(m[0], s.set[0], 1, "a:1")
		}},
		{"profile", "the highest revision there is", "2³² is the last one", "m0", func(s *scene, m []*person) {
			s.profile(m[0], s.set[0], 1<<32, "a:1")
			s.profile(m[0], s.set[0], 1<<32-1, "b:2")
		}},
		{"profile", "a tie", "of equal revisions the smallest id counts", "m0", func(s *scene, m []*person) {
			s.profile(m[0], s.set[0], 1, "a:1")
			s.profile(m[0], s.set[0], 1, "b:2")
			s.profile(m[0], s.set[0], 1, "c:3")
		}},
		{"profile", "of another", "nobody says for another where it is reached", "m0 m1", func(s *scene, m []*person) {
			admit := s.admit(m[0], m[1])
			s.profile(m[1], admit, 1, "a:1")
			s.profile(m[0], admit, 9, "b:2")
		}},
		{"profile", "cites another's admit", "an admit of somebody else is no grounds, the addresses count all the same", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.profile(m[1], s.admit(m[0], m[2]), 1, "a:1")
		}},
		{"profile", "cites an admit that does not hold", "only grounds can be chosen", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			s.profile(m[2], s.admit(m[1], m[2], under("void")), 1)
			s.remove(m[0], m[1])
		}},
		{"profile", "the superseded one cites", "only the profile that counts chooses", "m0 m1", func(s *scene, m []*person) {
			s.profile(m[1], s.admit(m[0], m[1], under("old")), 1)
			s.profile(m[1], s.admit(m[0], m[1]), 2)
		}},
		{"profile", "of a stranger", "it is held, and means nothing", "m0", func(s *scene, m []*person) { s.profile(m[1], s.set[0], 1, "a:1") }},
		{"profile", "of a gone member", "it is held, and means nothing", "m0", func(s *scene, m []*person) {
			s.profile(m[1], s.admit(m[0], m[1]), 1, "a:1")
			s.remove(m[0], m[1])
		}},
		{"profile", "attributes", "free texts, by the member itself", "m0", func(s *scene, m []*person) {
			p := &profileOf{Admit: s.set[0].ID(), Revision: 1}
			p.Attributes = map[string]string{"role": "db", "größe": "", "a": "b"}
			s.add(s.sign(m[0], p), "profile of m0 with attributes")
		}},
	}
}

func certificateCases(t *testing.T) []sceneCase {
	of := func(name, why, want string, make func(t *testing.T, m *person) []byte) sceneCase {
		return sceneCase{"certificate", name, why, want, func(s *scene, m []*person) {
			s.admit(m[0], m[1], with(make(s.T, m[1])))
			s.admit(m[1], m[2])
		}}
	}
	good, passed := "m0 m1 m2", "m0 m2"
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	odd := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 2047, 1), E: 65536}
	even := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(2), 2047, 1), E: 65537}
	keyed := func(name, why string, public any) sceneCase {
		return sceneCase{"certificate", name, why, "m0", func(s *scene, m []*person) {
			der := certificateFor(s.T, "m1", public)
			a := admission(m[1].Identity, 3)
			a.Certificate, a.Subject = der, keyIDOf(s.T, der)
			s.add(s.sign(m[0], a), "m0 admits a key that cannot be used")
		}}
	}
	p521 := fixedECDSA(t, elliptic.P521(), "p521")
	return []sceneCase{
		of("expired", "validity is looked at where a connection is made, not here", good, func(t *testing.T, m *person) []byte {
			return certificateFor(t, "m1", m.Certificate().PublicKey, expired)
		}),
		of("of exactly 16 KiB", "the largest that can be used", good, func(t *testing.T, m *person) []byte {
			return certificateOfSize(t, 16<<10, "m1", m.Certificate().PublicKey)
		}),
		of("of version 1", "only version 3 can be used; what its key issues is valid", passed, func(t *testing.T, m *person) []byte {
			return certificateV1(t, "m1", m.Certificate().PublicKey)
		}),
		of("unparsable", "it is passed over; what its key issues is valid", passed, func(*testing.T, *person) []byte { return []byte("no certificate") }),
		of("empty", "it is passed over", passed, func(*testing.T, *person) []byte { return nil }),
		of("with a byte left over", "it is passed over", passed, func(_ *testing.T, m *person) []byte {
			return append(m.Certificate().Raw[:len(m.Certificate().Raw):len(m.Certificate().Raw)], 0)
		}),
		of("cut off", "it is passed over", passed, func(_ *testing.T, m *person) []byte { return m.Certificate().Raw[:99] }),
		of("of another key", "a certificate counts for its own key only", passed, func(t *testing.T, _ *person) []byte {
			return certificateFor(t, "m1", fixedKey("another").Public())
		}),
		keyed("weak RSA", "RSA keys have at least 2048 bits", weak),
		keyed("RSA with an even exponent", "the exponent is odd", odd),
		keyed("RSA with an even modulus", "the modulus is odd", even),
		keyed("P-521", "ECDSA keys are on P-256 or P-384", p521.Public()),
		{"certificate", "another one that can be used", "grounds whose certificate cannot be used are passed over for others", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], with(nil), offer(1))
			s.admit(m[0], m[1], with(nil), offer(2))
			s.admit(m[0], m[1])
			s.admit(m[0], m[1], with(nil), offer(3))
		}},
		{"certificate", "a profile cites the unusable one", "grounds whose certificate cannot be used cannot be chosen", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.profile(m[1], s.admit(m[0], m[1], with(nil), under("void")), 1)
		}},
		{"certificate", "two for one key", "the one with the smallest id, unless the profile cites another", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[1], with(certificateFor(s.T, "m1", m[1].Certificate().PublicKey, serial(2))))
		}},
		{"certificate", "two for one key, and the profile cites the larger", "the profile decides", "m0 m1", func(s *scene, m []*person) {
			a := s.admit(m[0], m[1])
			b := s.admit(m[0], m[1], with(certificateFor(s.T, "m1", m[1].Certificate().PublicKey, serial(2))))
			_, large := ordered(a, b)
			s.profile(m[1], large, 1)
		}},
	}
}
