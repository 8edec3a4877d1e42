package trust

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// Errors of the initiator's side and of configuration.
var (
	// ErrConfig is wrapped by what [NewService], [Service.Attach], [Service.Open] and [Join] say of a Config that cannot work.
	ErrConfig = errors.New("trust: invalid configuration")
	// ErrNoCluster says that the store is not part of a cluster yet: the first machine calls Store.Bootstrap. From [Service.Open].
	ErrNoCluster = errors.New("trust: this machine is in no cluster yet; the first machine of a cluster calls Store.Bootstrap")
	// ErrRotating says that this machine begins to present another certificate at this moment, or leaves; in the first case it
	// is over in a moment. From [Service.Open].
	ErrRotating = errors.New("trust: this machine is changing its certificate; try again in a moment")
	// ErrNotTold says that this machine has left its cluster, and no other member knows. From [Service.Leave].
	ErrNotTold = errors.New("trust: no other member could be told that this machine left; " +
		"leave again when one can be reached, or remove it there")
	// ErrRemoved says that this machine is no member (any more): its key was removed, or what admitted it was. A removed key
	// never comes back; the machine can join again with a new identity. From [Service.Standing].
	ErrRemoved = errors.New("trust: this machine was removed from the cluster")
	// ErrNoMajority says that this machine has not been in contact with most of the cluster lately. From [Service.Standing].
	ErrNoMajority = errors.New("trust: no contact with most of the cluster lately")
	// ErrWeakPassphrase says that a given passphrase is too weak for a format in which it can be guessed offline. From
	// [Service.OpenMicroCloud].
	ErrWeakPassphrase = errors.New("trust: the passphrase looks too weak for MicroCloud-1.0, where it can be guessed offline; " +
		"take a longer one, or none, so that one is generated")
	// ErrInvitationLimit says that as many invitations are open as there may be. From [Service.Invite].
	ErrInvitationLimit = fmt.Errorf("trust: %d invitations are open, which is the most; revoke some", maxInvitations)
	// ErrUnknownInvitation says that no invitation has this id, or that it was forgotten. From [Service.RevokeInvitation].
	ErrUnknownInvitation = errors.New("trust: there is no invitation with this id")
	// ErrSessionOpen says that a passphrase session is open already; there is one at a time. From [Service.Open].
	ErrSessionOpen = errors.New("trust: a trust session is open already")
)

// Errors of the joiner's side, all from [Join]. What a session says of its end or of this joiner (denied, expired,
// stopped, a service that does not match) comes as the typed errors of package session.
var (
	// ErrUnreachable says that no connection to the initiator could be made, or that it broke and did not come back.
	ErrUnreachable = errors.New("trust: the initiator cannot be reached")
	// ErrNoSession says that the initiator's TLS refused this machine as a stranger, or the initiator its hello: no trust
	// session is open there (nor is the invitation known), or this machine's certificate is none that it accepts, for example
	// because the clocks are far apart.
	ErrNoSession = errors.New("trust: no trust session is open at that address (or this machine's certificate is not acceptable there)")
	// ErrNotMicrotrust says that the server does not offer the join protocol.
	ErrNotMicrotrust = errors.New("trust: the server at that address does not speak " + Protocol)
	// ErrNotMicroCloud says that the server does not offer MicroCloud-1.0. From [Service.JoinMicroCloud].
	ErrNotMicroCloud = errors.New("trust: the server at that address does not speak " + microcloud.Version)
	// ErrAlreadyOffered says that the initiator has an intent of this machine's certificate already, from an earlier attempt in
	// the same session; the format allows one. From [Service.JoinMicroCloud].
	ErrAlreadyOffered = errors.New("trust: the initiator has an intent of this machine in this session already; open a new session there")
	// ErrNoMemberSet says that the initiator has confirmed this machine, and keeps no member set that this machine could join.
	// From [Service.JoinMicroCloud] without Found; nothing was stored.
	ErrNoMemberSet = errors.New("trust: the initiator keeps no member set of ours; with Found this machine founds a cluster of its own that trusts it")
	// ErrRefused is the one answer that strangers get: the passphrase is wrong, or its attempts are used up, or something
	// between the machines terminates TLS, so that the two sides see different certificates.
	ErrRefused = errors.New("trust: refused: the passphrase is wrong or no longer accepted, or something between the machines terminates TLS")
	// ErrCertificateNotAsked says that the server did not ask for this machine's certificate, without which the join would
	// not be bound to it.
	ErrCertificateNotAsked = errors.New("trust: the server did not ask for this machine's certificate")
	// ErrServerChanged says that a later connection of one join met another certificate than the first.
	ErrServerChanged = errors.New("trust: the server's certificate changed during the join")
	// ErrReply says that a reply of the initiator is malformed, or not signed as it must be.
	ErrReply = errors.New("trust: the initiator's reply is not valid")
	// ErrMemberSet says that the initiator delivered a member set that does not hold together.
	ErrMemberSet = errors.New("trust: the member set that the initiator delivered is not valid")
	// ErrUnconfirmed wraps what went wrong after the member set was stored: this machine is a member and trusts the others,
	// but has not heard that the initiator knows. Joining again completes it.
	ErrUnconfirmed = errors.New("trust: the member set is stored, but the initiator has not confirmed it (joining again completes it)")
	// ErrAttemptsUsed says that this machine has sent its proof of this passphrase too often without a verified answer.
	// Whoever answers can test one guess with each, so it stops. From [Service.JoinMicroCloud] also when this machine got too
	// many wrong confirmations.
	ErrAttemptsUsed = errors.New("trust: too many attempts with this passphrase without a verified answer; open a new session with a new passphrase")
	// ErrNotVerified wraps what JoinConfig.Verify returned.
	ErrNotVerified = errors.New("trust: the initiator's fingerprint was not confirmed")
)

// FingerprintError says that the initiator's certificate is not the pinned one. From [Join], before anything was sent.
type FingerprintError struct {
	Want certstore.Fingerprint // pinned in JoinConfig.Fingerprint
	Got  certstore.Fingerprint // of the certificate that the server proved
}

// Error names both fingerprints in the form that people compare.
func (e *FingerprintError) Error() string {
	return fmt.Sprintf("trust: the server has fingerprint %s, but %s was expected", e.Got.Short(), e.Want.Short())
}

// BookError says that the file of the invitations that this machine made is not what it wrote. From [NewService]. It never contains
// an invitation.
type BookError struct {
	File  string // where it is; empty if the invitations are in memory
	Field string // such as "invitations[3].made"; empty for the file as a whole
	Rule  string // what must be so, or what is wrong
}

// Error names file, field and rule, and what to do.
func (e *BookError) Error() string {
	where := e.File
	if e.Field != "" {
		where += ": " + e.Field
	}
	return fmt.Sprintf("trust: the invitations cannot be read: %s: %s; to go on without them, move the file away", where, e.Rule)
}

// minorityError says how many machines are in contact, this one included. It wraps ErrNoMajority.
type minorityError struct{ met, machines int }

func (e *minorityError) Error() string {
	return fmt.Sprintf("%v: %d of %d machines", ErrNoMajority, e.met, e.machines)
}

func (e *minorityError) Unwrap() error { return ErrNoMajority }

// errStore marks what went wrong on this machine's disk or in its database. Join returns it with the store's error, which
// says more.
var errStore = errors.New("trust: the member set could not be stored")

// errUnproven says that a peer did not prove to be who it has to be.
var errUnproven = errors.New("trust: the peer's certificate is not that of a member, and it has shown nothing that makes it one")

// Errors that stay inside: strangers see one and the same refusal for all of them, proved peers are told the text.
var (
	errRefuse   = errors.New("refused")
	errOver     = fmt.Errorf("%w: what it belongs to is over, or never was", errRefuse)
	errReplayed = fmt.Errorf("%w: replayed", errRefuse)
	errSpliced  = fmt.Errorf("%w: not of this handshake", errRefuse)
	// errWrongProof is of a proof that was counted, and told, already.
	errWrongProof = fmt.Errorf("%w: wrong proof", errRefuse)
	errMeaning    = errors.New("invalid message")
	errTooLarge   = errors.New("trust: a reply is too large")
	errHandshake  = errors.New("the handshake is not known any more")

	errMicrocloudSession = errors.New("nothing is open for the older format")
	errMicrocloudSize    = errors.New("a body without length, or too large")
	errOtherCertificate  = errors.New("it has another certificate")
	errMicrocloudBody    = errors.New("the body did not arrive")
)

// What is wrong in the file of invitations.
var (
	errRepeated  = errors.New("the invitation stands in the file twice")
	errNotBefore = errors.New("must be after 1970 and not after the end of the invitation")
)

// clip makes text from a peer safe to print: quoted and short.
func clip(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most]
	}
	q := strconv.QuoteToGraphic(text)
	return q[1 : len(q)-1]
}
