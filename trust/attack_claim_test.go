package trust_test

import (
	"crypto/tls"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestClaimOfANameThatAMemberHolds: policy does not decide over it, and nobody can approve it by mistake.
func TestClaimOfANameThatAMemberHolds(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{}) // a policy that accepts everybody
	j := raw(t, newMachine(t, "thief"), first, s.Passphrase())
	j.prove("micro01")
	require.Equal(t, map[string]session.State{"micro01": session.StateOffered}, states(s))
	offer := s.Joiners()[0]
	require.True(t, offer.Conflict)
	err := s.Approve(t.Context(), offer.ID)
	var conflict *session.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.True(t, conflict.Member)
	require.Equal(t, []certstore.Fingerprint{first.store.Identity().Fingerprint()}, conflict.Others)
	require.Equal(t, 1, first.store.Snapshot().Len())
}

// TestClaimOfANameByTwo: neither of two joiners with one name is let in before a person has decided.
func TestClaimOfANameByTwo(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	for _, who := range []string{"honest", "thief"} {
		j := raw(t, newMachine(t, who), first, s.Passphrase())
		j.prove("micro02")
	}
	joiners := s.Joiners()
	require.Len(t, joiners, 2)
	for _, j := range joiners {
		require.True(t, j.Conflict)
		require.ErrorAs(t, s.Approve(t.Context(), j.ID), new(*session.ConflictError))
	}
	require.Equal(t, 1, first.store.Snapshot().Len())
	require.NoError(t, s.Deny(joiners[1].ID, "not the right fingerprint"))
	require.NoError(t, s.Approve(t.Context(), joiners[0].ID))
	m, err := first.store.Snapshot().ByName("micro02")
	require.NoError(t, err)
	require.Equal(t, joiners[0].Fingerprint, m.Fingerprint)
}

// TestClaimOfACertificate: what counts is the certificate whose key the connection proved.
func TestClaimOfACertificate(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	victim, thief := newMachine(t, "victim").store.Identity(), newMachine(t, "thief").store.Identity()
	own, theirs := thief.TLSCertificate(), victim.TLSCertificate()

	forged := tls.Certificate{Certificate: theirs.Certificate, PrivateKey: own.PrivateKey}
	cfg := strangerTLS(nil, trust.Protocol)
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &forged, nil }
	require.Error(t, answered(t, first.addr, cfg), "another's certificate without its key")

	appended := tls.Certificate{Certificate: append(own.Certificate[:1:1], theirs.Certificate...), PrivateKey: own.PrivateKey}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &appended, nil }
	c, err := dialRaw(t, first.addr, cfg)
	require.NoError(t, err)
	j := &rawJoiner{rawConn: c, id: thief, secret: s.Passphrase().Secret()}
	j.public.Initiator, j.public.Joiner = first.store.Identity().Fingerprint(), victim.Fingerprint()
	j.refused(j.begin().sign(hmacauth.EndpointJoin, intent("victim")), "keys for the other certificate")
	j.public.Joiner = thief.Fingerprint()
	j.call(j.begin().sign(hmacauth.EndpointJoin, intent("victim")))
	require.Len(t, s.Joiners(), 1)
	require.Equal(t, thief.Fingerprint(), s.Joiners()[0].Fingerprint)
}

// TestClaimOfAnAddress: a member that says it lives where another does is not taken for it, nor the other for the liar.
func TestClaimOfAnAddress(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	third, thief := newMachine(t, "micro03"), newMachine(t, "thief")
	_, err := trust.Join(t.Context(), first.addr, third.joinConfig(s, first))
	require.NoError(t, err)
	cfg := thief.joinConfig(s, first)
	cfg.Addresses = []string{first.addr}
	_, err = trust.Join(t.Context(), first.addr, cfg)
	require.NoError(t, err)
	_, err = third.store.Merge(t.Context(), first.store.Statements())
	require.NoError(t, err)
	_, err = third.get("thief", "/")
	require.ErrorIs(t, err, certstore.ErrWrongMember)
	_, err = third.get("micro01", "/")
	require.NoError(t, err)
}

// TestClaimsInDone: a joiner confirms with a profile of its own for the set that was delivered, and with nothing else.
func TestClaimsInDone(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	second := newMachine(t, "micro02")
	j := raw(t, second, first, s.Passphrase())
	j.prove("micro02")
	early := j.call(j.sign(hmacauth.EndpointDone, map[string]any{"digest": first.store.Snapshot().Digest().String(), "profile": []byte{}}))
	require.Equal(t, "invalid", early["code"], "before anything was delivered")
	result := j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
	good := j.doneMessage(second, result)
	j.sequence-- // it is not sent
	profile := unbase64(t, decode(t, good.body)["profile"])
	friend := newMachine(t, "friend")
	_, err := second.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: friend.store.Identity().Certificate(), Name: "friend"})
	require.NoError(t, err)
	others := profileOf(t, friend, second)
	var admit []byte
	for _, st := range second.store.Statements() {
		encoded, err := st.MarshalBinary()
		require.NoError(t, err)
		if st.Kind() == certstore.KindAdmit && st.Issuer() == second.store.Identity().KeyID() {
			admit = encoded
		}
	}
	require.NoError(t, second.store.UpdateProfile(t.Context(), certstore.Profile{Addresses: []string{"192.0.2.9:8443"}}))
	var moved []byte
	for _, st := range second.store.Statements() {
		if st.Kind() == certstore.KindProfile && st.Issuer() == second.store.Identity().KeyID() {
			moved, err = st.MarshalBinary()
			require.NoError(t, err)
		}
	}
	before := len(first.store.Statements())
	digest := j.digest.String()
	bent := append([]byte{}, profile...)
	bent[len(bent)-1] ^= 1
	claims := map[string]map[string]any{
		"another's profile":      {"digest": digest, "profile": others},
		"not what was approved":  {"digest": digest, "profile": moved},
		"an admission":           {"digest": digest, "profile": admit},
		"a bent signature":       {"digest": digest, "profile": bent},
		"no statement":           {"digest": digest, "profile": []byte{}},
		"the digest of now":      {"digest": second.store.Snapshot().Digest().String(), "profile": profile},
		"a digest of nothing":    {"digest": "", "profile": profile},
		"members nobody defined": {"digest": digest, "profile": profile, "name": "micro01"},
	}
	for reason, claim := range claims {
		reply := j.call(j.sign(hmacauth.EndpointDone, claim))
		require.Equal(t, "refused", reply["state"], reason)
		require.Equal(t, "invalid", reply["code"], reason)
		require.Equal(t, session.StateAdmitted, states(s)["micro02"], reason)
		require.Len(t, first.store.Statements(), before, reason)
	}
	require.Equal(t, "joined", j.call(j.sign(hmacauth.EndpointDone, map[string]any{"digest": digest, "profile": profile}))["state"])
}

// profileOf makes a machine a member with what another one has, and returns its profile, which has no addresses.
func profileOf(t *testing.T, m, from *machine) []byte {
	t.Helper()
	cluster, _ := from.store.Cluster()
	profile, err := m.store.Adopt(t.Context(), certstore.AdoptRequest{
		Cluster: cluster, Digest: from.store.Snapshot().Digest(), Statements: from.store.Statements(),
	})
	require.NoError(t, err)
	encoded, err := profile.MarshalBinary()
	require.NoError(t, err)
	return encoded
}

// TestChangedIntentAfterApproval: what was approved is the certificate with all of its intent. Another intent is asked
// about again, in the same session, on the same handshake, and in a later session; the identical one is not.
func TestChangedIntentAfterApproval(t *testing.T) {
	first := target(t)
	s := first.openAsking(session.Config{})
	j := raw(t, newMachine(t, "micro02"), first, s.Passphrase())
	approved := intent("micro02", "192.0.2.2:8443")
	j.call(j.begin().sign(hmacauth.EndpointJoin, approved))
	require.NoError(t, s.Approve(t.Context(), s.Joiners()[0].ID))
	require.Equal(t, "approved", j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["state"])

	changes := []map[string]any{intent("micro02", "192.0.2.3:8443"), intent("micro02"), intent("micro03", "192.0.2.2:8443")}
	for _, field := range []string{"services", "attributes"} {
		changed := intent("micro02", "192.0.2.2:8443")
		changed[field] = map[string]string{"role": "admin"}
		changes = append(changes, changed)
	}
	asked := func(s *session.Session, j *rawJoiner, when string) {
		t.Helper()
		for i, changed := range changes {
			j.call(j.begin().sign(hmacauth.EndpointJoin, changed))
			last := s.Joiners()[len(s.Joiners())-1]
			require.Equal(t, session.StateOffered, last.State, "%s: change %d", when, i)
			require.NoError(t, s.Deny(last.ID, "not what was agreed"))
			reply := j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
			require.Equal(t, "denied", reply["code"])
		}
	}
	j.call(j.sign(hmacauth.EndpointJoin, intent("micro02", "192.0.2.9:8443"))) // on the approved handshake
	require.Equal(t, session.StateOffered, s.Joiners()[1].State)
	require.NoError(t, s.Deny(s.Joiners()[1].ID, "not what was agreed"))
	require.Equal(t, "denied", j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["code"])
	asked(s, j, "same session")
	j.call(j.begin().sign(hmacauth.EndpointJoin, approved))
	require.Equal(t, "approved", j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["state"], "the identical one")

	s.Close(nil)
	later := first.openAsking(session.Config{})
	j.secret = later.Passphrase().Secret()
	asked(later, j, "later session")
	j.call(j.begin().sign(hmacauth.EndpointJoin, approved))
	require.Equal(t, "approved", j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["state"])
	require.Equal(t, 2, first.store.Snapshot().Len())
}
