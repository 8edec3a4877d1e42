package certstore

import (
	"crypto/x509"
	"log/slog"
)

// Rights says what a member may do to the membership of others. It is a set of bits, fixed by the statement that admits
// the member. See docs/trust-store.md, "Rights".
type Rights uint8

// The rights that an admission can give.
const (
	MayAdmit  Rights = 1 << iota // may admit others
	MayRemove                    // may remove others

	DefaultRights = MayAdmit | MayRemove // what a member gets unless it is said otherwise
)

// Has reports whether r contains all of wanted.
func (r Rights) Has(wanted Rights) bool { return r&wanted == wanted }

// String names the rights: "admit+remove", "admit", "remove" or "none". Bits that have no meaning yet are left out.
func (r Rights) String() string {
	switch r & DefaultRights {
	case DefaultRights:
		return "admit+remove"
	case MayAdmit:
		return "admit"
	case MayRemove:
		return "remove"
	default:
		return "none"
	}
}

// Member is a machine that the cluster trusts, as one Snapshot shows it. Members are shared by everybody who reads the
// snapshot: treat every field, the slice and the map as read-only. Later changes appear in later snapshots, never here.
type Member struct {
	Name        string            // lower-case host name, see CheckName; says where to dial, authenticates nobody
	Fingerprint Fingerprint       // of Certificate; what TLS pins
	Key         KeyID             // of Certificate; what statements name
	Certificate *x509.Certificate // passes CheckCertificate; its validity times may be over
	Addresses   []string          // host:port, see CheckAddress; set by the member itself; may be empty
	Attributes  map[string]string // free; set by the member itself; may be nil
	Rights      Rights            // what it may do to others' membership
	AdmittedBy  KeyID             // key that issued the admission; its own for the first member
	Admit       StatementID       // the admission that counts
	Offer       [32]byte          // digest of what was approved at admission; zero if nothing was recorded
	Replaces    KeyID             // key that this one took over from; zero if it replaces none
	HasProfile  bool              // whether the member has published addresses and attributes

	// lineage is the first key of the chain of predecessors that Key belongs to; zero means Key itself. Keys of one lineage
	// may share a name.
	lineage KeyID
}

// LogValue logs name and full fingerprint.
func (m *Member) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", m.Name), slog.String("fingerprint", m.Fingerprint.String()))
}

// ancestor returns the key that stands for m's lineage.
func (m *Member) ancestor() KeyID {
	if m.lineage.IsZero() {
		return m.Key
	}
	return m.lineage
}
