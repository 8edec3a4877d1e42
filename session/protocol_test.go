package session_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// older is an offer as it comes by the older format.
func older(o session.Offer) session.Offer {
	o.Protocol = session.MicroCloud
	return o
}

func TestProtocolIsPartOfTheOffer(t *testing.T) {
	o := offer(t, "micro02")
	require.NotEqual(t, o.ID(), older(o).ID())
	require.Equal(t, "microtrust/2", o.Protocol.String())
	require.Equal(t, "MicroCloud-1.0", older(o).Protocol.String())
	s := open(t, session.Config{}, newRegistry())
	defer s.Close(nil)
	id := propose(t, s, older(o), session.StateOffered)
	require.Equal(t, session.MicroCloud, requireState(t, s, id, session.StateOffered).Offer.Protocol)
}

// TestUnprovedCertificateTakesNoPlace: an offer whose key nobody proved is taken once, and only if the certificate has no other.
func TestUnprovedCertificateTakesNoPlace(t *testing.T) {
	s := open(t, session.Config{}, newRegistry())
	defer s.Close(nil)
	proved, claimed := offer(t, "micro02"), offer(t, "micro03")
	id := propose(t, s, proved, session.StateOffered)
	refused := func(o session.Offer) {
		_, err := s.Propose(t.Context(), o)
		require.ErrorIs(t, err, session.ErrDuplicate)
		var refused *session.RefusedError
		require.ErrorAs(t, err, &refused)
	}
	refused(older(proved))
	requireState(t, s, id, session.StateOffered)

	claim := propose(t, s, older(claimed), session.StateOffered)
	refused(older(claimed))
	refused(older(offerOf(t, claimed.Certificate, "micro04")))
	requireState(t, s, claim, session.StateOffered)
	require.NoError(t, s.Deny(claim, ""))
	refused(older(claimed))

	third := offer(t, "micro05")
	claim = propose(t, s, older(third), session.StateOffered)
	propose(t, s, third, session.StateOffered)
	j := requireState(t, s, claim, session.StateFailed)
	require.ErrorIs(t, j.Cause, session.ErrSuperseded, "who proves the key goes before")
	require.Equal(t, "duplicate", session.CodeOf(session.ErrDuplicate))
}

// TestUnprovedCertificatesDoNotFillTheList: whoever has the weaker passphrase keeps nobody out who has the other.
func TestUnprovedCertificatesDoNotFillTheList(t *testing.T) {
	s := open(t, session.Config{MaxJoiners: 1}, newRegistry())
	defer s.Close(nil)
	claim := func(i int) error {
		_, err := s.Propose(t.Context(), older(offer(t, fmt.Sprintf("claim%d", i))))
		return err
	}
	for i := range 34 {
		require.NoError(t, claim(i))
	}
	require.ErrorIs(t, claim(34), session.ErrLimitReached)
	id := propose(t, s, offer(t, "micro02"), session.StateOffered)
	require.NoError(t, s.Abort(s.Joiners()[0].ID, ""))
	require.NoError(t, claim(35), "in place of one that came to nothing")
	require.NoError(t, s.Approve(t.Context(), id))
}

// TestRegister: the policy is asked when the caller says so, and the offer is in the list by then.
func TestRegister(t *testing.T) {
	asked := 0
	s := open(t, session.Config{Policy: func(session.Offer) session.Decision { asked++; return session.Accept }}, newRegistry())
	defer s.Close(nil)
	o := offer(t, "micro02")
	state, decide, err := s.Register(o)
	require.NoError(t, err)
	require.Equal(t, session.StateOffered, state)
	require.Zero(t, asked)
	_, again, err := s.Register(o)
	require.NoError(t, err)
	require.Nil(t, again, "it is being asked already")
	state, err = decide(context.Background())
	require.NoError(t, err)
	require.Equal(t, session.StateAdmitted, state)
	require.Equal(t, 1, asked)
	_, _, err = s.Register(session.Offer{})
	require.ErrorIs(t, err, session.ErrInvalid)
}

func TestServicesAreACopy(t *testing.T) {
	s := open(t, session.Config{Services: map[string]string{"LXD": "6.9"}}, newRegistry())
	defer s.Close(nil)
	s.Services()["LXD"] = "5"
	require.Equal(t, map[string]string{"LXD": "6.9"}, s.Services())
}
