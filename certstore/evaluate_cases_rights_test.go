package certstore_test

import (
	"bytes"

	"github.com/microtrust/microtrust/certstore"
)

func rightsCases() []sceneCase {
	return []sceneCase{
		{"rights", "admits without the right", "who may not admit admits nobody", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(removeOnly))
			s.admit(m[1], m[2])
		}},
		{"rights", "not even in step 2", "whom somebody admits without the right removes nobody", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(removeOnly))
			s.admit(m[1], m[2])
			s.remove(m[2], m[0])
		}},
		{"rights", "removes without the right", "who may not remove removes nobody else", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(admitOnly))
			s.remove(m[1], m[0])
		}},
		{"rights", "removes itself without the right", "everyone may remove itself", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.remove(m[1], m[1])
		}},
		{"rights", "gives what it does not hold", "nobody gives a right that it does not hold", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(admitOnly))
			s.admit(m[1], m[2])
			s.remove(m[2], m[0])
		}},
		{"rights", "growing on two paths", "a key holds all rights that any admit gives it", "m1 m2 m3 m4", func(s *scene, m []*person) {
			one, two := s.admit(m[0], m[1]), s.admit(m[0], m[2])
			s.admit(m[1], m[3], rights(admitOnly))
			s.admit(m[2], m[3], rights(removeOnly))
			s.admit(m[3], m[4])
			s.remove(m[4], m[0], one, two)
		}},
		{"rights", "growing late", "a right that arrives later in the walk reaches those behind too", "m0 m1 m2 m3 m4", func(s *scene, m []*person) {
			s.admit(m[0], m[2], rights(admitOnly))
			s.admit(m[2], m[3])
			s.admit(m[3], m[4])
			s.admit(m[0], m[1])
			s.admit(m[1], m[2])
		}},
		{"rights", "none at all", "an admit without rights makes a member", "m0 m1", func(s *scene, m []*person) { s.admit(m[0], m[1], rights(0)) }},
		{"rights", "of members fall with the admit", "the rights that members have are those of step 4", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], rights(0))
			s.admit(m[1], m[2])
			s.admit(m[2], m[3])
			s.remove(m[0], m[1])
		}},
		{"rights", "to remove never fall", "removals count by the rights of step 2", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], rights(0))
			s.admit(m[1], m[2])
			s.admit(m[0], m[4])
			s.remove(m[0], m[1])
			s.remove(m[2], m[4])
		}},
		{"hand-over", "without the right to admit", "a member hands over to a key of its own", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(removeOnly))
			s.heir(m[1], m[2], under("m1"))
			s.admit(m[2], m[3])
		}},
		{"hand-over", "twice", "only the one with the smallest id makes its subject a member", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.heir(m[1], m[3], under("m1"), offer(1))
			for n := byte(2); s.heir(m[1], m[2], under("m1"), offer(n)).ID().Compare(s.set[2].ID()) < 0; n++ {
				s.set, s.about = s.set[:3], s.about[:3]
			}
		}},
		{"hand-over", "twice, and the larger is kept", "the smallest of all of them counts, whether or not it is in force", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			_, large := ordered(s.heir(m[1], m[2], under("m1")), s.heir(m[1], m[3], under("m1")))
			s.remove(m[0], m[1], large)
		}},
		{"hand-over", "twice, and the bodies are in another order than the ids", "the smallest id counts", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			one := s.heir(m[1], m[3], under("m1"), offer(1))
			for n := byte(2); ; n++ {
				other := s.heir(m[1], m[2], under("m1"), offer(n))
				if one.ID().Compare(other.ID()) != bytes.Compare(one.Body(), other.Body()) {
					return
				}
				s.set, s.about = s.set[:3], s.about[:3]
			}
		}},
		{"hand-over", "twice, and the smaller is kept", "the smallest of all of them counts", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.heir(m[1], m[3], under("m1"), offer(1))
			for n := byte(2); s.heir(m[1], m[2], under("m1"), offer(n)).ID().Compare(s.set[2].ID()) < 0; n++ {
				s.set, s.about = s.set[:3], s.about[:3]
			}
			s.remove(m[0], m[1], s.set[2])
		}},
		{"hand-over", "twice, and both heirs remove", "no later hand-over unmakes the removals by an earlier heir", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(removeOnly))
			s.admit(m[0], m[4])
			s.admit(m[0], m[5])
			s.heir(m[1], m[3], under("m1"), offer(1))
			for n := byte(2); s.heir(m[1], m[2], under("m1"), offer(n)).ID().Compare(s.set[4].ID()) < 0; n++ {
				s.set, s.about = s.set[:5], s.about[:5]
			}
			s.remove(m[2], m[4])
			s.remove(m[3], m[5])
		}},
		{"hand-over", "twice with the right to admit", "who may admit hands over as often as it likes", "m0 m1 m2 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(admitOnly))
			s.heir(m[1], m[2])
			s.heir(m[1], m[3])
		}},
		{"hand-over", "the right is lost", "in step 4 the right to admit is that of step 4", "m0 m3 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[3], rights(0))
			s.admit(m[1], m[3])
			s.heir(m[3], m[4], under("m3"), offer(1))
			for n := byte(2); s.heir(m[3], m[2], under("m3"), offer(n)).ID().Compare(s.set[4].ID()) < 0; n++ {
				s.set, s.about = s.set[:5], s.about[:5]
			}
			s.remove(m[0], m[1])
		}},
		{"hand-over", "gives its own rights", "a hand-over gives no right that the issuer does not hold", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.heir(m[1], m[2], under("m1"))
			s.remove(m[2], m[0])
		}},
		{"hand-over", "to the key of another", "who has no right at all does not rename others", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], rights(0))
			for n := byte(1); s.heir(m[2], m[1], under("m9"), offer(n)).ID().Compare(s.set[1].ID()) > 0; n++ {
				s.set, s.about = s.set[:3], s.about[:3]
			}
		}},
		{"hand-over", "with the name of another", "who has no right at all takes no name, not by several steps either", "m0 m1 m2 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], rights(0))
			s.heir(m[2], m[3], under("m2"))
			s.heir(m[3], m[4], under("m1"))
			s.heir(m[4], m[5], under("m1"))
		}},
		{"hand-over", "with the name of another, in a circle", "two keys that hand over to each other give each other no name", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2], rights(0))
			s.heir(m[2], m[3], under("m1"))
			s.profile(m[2], s.heir(m[3], m[2], under("m1")), 1)
		}},
		{"hand-over", "twice, and the larger to a member", "the larger is no ground for its subject either, whatever that cites", "m0 m1 m1 m2", func(s *scene, m []*person) {
			s.profile(m[2], s.secondHandOver(m), 1)
		}},
		{"hand-over", "twice, and the larger to a member is kept", "the smallest of all of them counts, whether or not it is in force", "m0 m2", func(s *scene, m []*person) {
			second := s.secondHandOver(m)
			s.profile(m[2], second, 1)
			s.remove(m[0], m[1], second)
		}},
		{"hand-over", "by two with each other's names", "a hand-over under another name passes nothing on", "m0 m1 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.admit(m[0], m[2], rights(0))
			s.heir(m[1], m[3], under("m9"))
			s.heir(m[2], m[3], under("m1"))
		}},
		{"hand-over", "an admit beside it", "without the right to admit only the hand-over counts", "m0 m1 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.heir(m[1], m[2], under("m1"))
			s.admit(m[1], m[3])
		}},
	}
}

func keepCases() []sceneCase {
	return []sceneCase{
		{"keep", "none", "what the removed admitted falls", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[1], m[2])
			s.remove(m[0], m[1])
		}},
		{"keep", "one of two", "what is kept stays", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			kept := s.admit(m[1], m[2])
			s.admit(m[1], m[3])
			s.remove(m[0], m[1], kept)
		}},
		{"keep", "intersection", "kept is what every removal keeps", "m0 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			two, three, four := s.admit(m[1], m[2]), s.admit(m[1], m[3]), s.admit(m[1], m[4])
			s.remove(m[0], m[1], two, three)
			s.remove(m[1], m[1], three, four)
		}},
		{"keep", "intersection of three", "kept is what every removal keeps", "m0 m5", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[5])
			two, three, four := s.admit(m[1], m[2]), s.admit(m[1], m[3]), s.admit(m[1], m[4])
			s.remove(m[0], m[1], two, three)
			s.remove(m[1], m[1], three, four)
			s.remove(m[5], m[1], two, four)
		}},
		{"keep", "beside a removal that keeps nothing", "kept is what every removal keeps", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1], s.admit(m[1], m[2]))
			s.remove(m[1], m[1])
		}},
		{"keep", "beside a removal that does not count", "only removals that count narrow what is kept", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1], s.admit(m[1], m[2]))
			s.remove(m[6], m[1])
		}},
		{"keep", "by an expelled key that was kept", "the removed narrow what is kept, even of each other", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[3])
			s.remove(m[0], m[1], s.admit(m[1], m[2]))
			s.remove(m[0], m[3])
			s.remove(m[3], m[1])
		}},
		{"keep", "of another's statement", "a keep concerns statements of the target alone", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[0], m[2])
			three := s.admit(m[1], m[3])
			s.remove(m[0], m[1])
			s.remove(m[0], m[2], three)
		}},
		{"keep", "a hand-over without the right to admit", "an heir can be kept", "m0 m1", func(s *scene, m []*person) {
			s.admit(m[0], m[1], rights(0))
			s.remove(m[0], m[1], s.heir(m[1], m[2], under("m1")))
		}},
		{"keep", "a chain of gone keys", "a kept admit carries on, also through keys that are gone", "m0 m3", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.remove(m[0], m[1], s.admit(m[1], m[2]))
			s.remove(m[0], m[2], s.admit(m[2], m[3]))
		}},
		{"keep", "a broken chain", "a kept admit holds nobody whose issuer is not reached", "m0", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			s.admit(m[1], m[2])
			s.remove(m[0], m[1])
			s.remove(m[0], m[2], s.admit(m[2], m[3]))
		}},
		{"keep", "of what nobody knows", "ids that lead nowhere do no harm", "m0 m2", func(s *scene, m []*person) {
			s.admit(m[0], m[1])
			kept := s.admit(m[1], m[2])
			unknown := s.admit(m[1], m[3])
			s.set, s.about = s.set[:3], s.about[:3]
			s.remove(m[0], m[1], kept, unknown)
		}},
	}
}

func recoveryCases() []sceneCase {
	return []sceneCase{
		{"recovery", "admits", "the recovery key is a root", "m0 m1", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[7], m[1])
		}},
		{"recovery", "removes", "the recovery key has the right to remove", "m1", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[7], m[1])
			s.remove(m[7], m[0])
		}},
		{"recovery", "cannot be removed", "a removal of the recovery key never counts, not even its own", "m0 m1 m2", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[7], m[1])
			s.remove(m[0], m[7])
			s.remove(m[7], m[7])
			s.admit(m[7], m[2])
		}},
		{"recovery", "begins anew", "when everybody is gone it admits again", "m2 m3", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.remove(m[1], m[0])
			s.admit(m[7], m[2])
			s.admit(m[2], m[3])
		}},
		{"recovery", "cannot bring back", "not even the recovery key undoes a removal", "m0", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[0], m[1])
			s.remove(m[0], m[1])
			s.admit(m[7], m[1])
		}},
		{"recovery", "its members can be removed", "whom it admits is a member like any other", "m0", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[7], m[1])
			s.remove(m[0], m[1])
		}},
		{"recovery", "as a member", "the recovery key is a member if somebody admits a certificate of it", "m0 m7", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[7]))
			s.admit(m[0], m[7])
			s.remove(m[0], m[7])
		}},
		{"recovery", "is the first member's key", "then the first member cannot be removed", "m0 m1", func(s *scene, m []*person) {
			s.restart(m[0], recovery(m[0]))
			s.admit(m[0], m[1])
			s.remove(m[1], m[0])
		}},
		{"recovery", "is not named", "without one in the genesis there is none", "m0", func(s *scene, m []*person) { s.admit(m[7], m[1]) }},
		{"recovery", "is no key", "bytes that are no key are the recovery key of nobody", "m0", func(s *scene, m []*person) {
			s.restart(m[0], func(g *genesisOf) { g.Recovery = []byte("no key") })
			s.admit(m[7], m[1])
		}},
	}
}

// secondHandOver lets m1, which may not admit, hand over to m3, and then to m2 with another certificate of its: that
// statement, which it returns, has the larger id.
func (s *scene) secondHandOver(m []*person) *certstore.Statement {
	s.admit(m[0], m[1], rights(0))
	s.admit(m[0], m[2])
	first := s.heir(m[1], m[3], under("m1"))
	other := certificateFor(s.T, "m2", m[2].Certificate().PublicKey, serial(2))
	for n := byte(1); ; n++ {
		second := s.heir(m[1], m[2], with(other), under("m2"), offer(n))
		if first.ID().Compare(second.ID()) < 0 {
			return second
		}
		s.set, s.about = s.set[:4], s.about[:4]
	}
}
