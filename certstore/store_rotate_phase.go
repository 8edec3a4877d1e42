package certstore

// RotationPhase says how far the rotation of this machine's key has come. See docs/trust-store.md, "Rotation".
type RotationPhase uint8

// The phases of a rotation.
const (
	RotationNone      RotationPhase = iota // no rotation is under way, or a next identity that nobody was told of
	RotationAnnounced                      // the next key is a member too; the present one is presented still
	RotationSwitched                       // the new key is presented; the former one is a member still, or its private key is on disk
)

// String names the phase: "none", "announced" or "switched".
func (p RotationPhase) String() string {
	switch p {
	case RotationAnnounced:
		return "announced"
	case RotationSwitched:
		return "switched"
	default:
		return "none"
	}
}

// Rotation returns how far the rotation of this machine's key has come, as the store knows it now. It takes no lock.
func (s *Store) Rotation() RotationPhase { return s.keys.Load().phase(s.state.Load()) }

// phase follows from what is on disk and what is stored, so that nothing has to remember it.
func (k *keyring) phase(st *state) RotationPhase {
	_, trusted := st.snapshot.ByKey(k.formerKey(st))
	switch {
	case trusted, k.formerDamage != nil, k.hasFormer(st):
		return RotationSwitched
	case k.next != nil && st.handedOver(k.current.key, k.next):
		return RotationAnnounced
	default:
		return RotationNone
	}
}

// formerKey returns the key that the present one took over from: the former identity's, and if that is lost, the one that
// the present key's own choice of an admission names. It is zero if there is none.
func (k *keyring) formerKey(st *state) KeyID {
	if k.hasFormer(st) {
		return k.former.key
	}
	if me, ok := st.snapshot.ByKey(k.current.key); ok && me.Replaces != k.current.key {
		return me.Replaces
	}
	return KeyID{}
}

// hasFormer reports whether the former identity is there, and not one that was never this cluster's.
func (k *keyring) hasFormer(st *state) bool {
	if k.former == nil {
		return false
	}
	_, ever := st.evaluation.ever[k.former.key]
	return ever
}

// handedOver reports whether next is a member in place of key.
func (st *state) handedOver(key KeyID, next *Identity) bool {
	m, ok := st.snapshot.ByCertificate(next.Certificate().Raw)
	return ok && m.Replaces == key
}
