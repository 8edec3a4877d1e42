package session_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	p, err := hmacauth.ParsePassphrase("correct horse battery staple")
	require.NoError(t, err)
	fp := certstore.Fingerprint{1}
	rows := []struct {
		field string
		cfg   session.Config
	}{
		{"Timeout", session.Config{Timeout: -1}},
		{"Timeout", session.Config{Timeout: time.Hour + 1}},
		{"Grace", session.Config{Grace: -1}},
		{"Grace", session.Config{Grace: time.Hour + 1}},
		{"MaxJoiners", session.Config{MaxJoiners: -1}},
		{"MaxJoiners", session.Config{MaxJoiners: 1001}},
		{"Words", session.Config{Passphrase: p, Words: 4}},
		{"WantNames", session.Config{WantNames: make([]string, 1001)}},
		{"WantNames[0]", session.Config{WantNames: []string{"Not A Name"}}},
		{"WantNames[1]", session.Config{WantNames: []string{"a", "a"}}},
		{"WantFingerprints", session.Config{WantFingerprints: make([]certstore.Fingerprint, 1001)}},
		{"WantFingerprints[0]", session.Config{WantFingerprints: []certstore.Fingerprint{{}}}},
		{"WantFingerprints[1]", session.Config{WantFingerprints: []certstore.Fingerprint{fp, fp}}},
		{`Services[""]`, session.Config{Services: map[string]string{"": "1"}}},
	}
	for _, row := range rows {
		_, err := session.New(row.cfg, newRegistry().hooks())
		require.ErrorIs(t, err, session.ErrInvalid)
		fe, ok := errors.AsType[*session.FieldError](err)
		require.True(t, ok)
		require.Equal(t, row.field, fe.Field)
	}
	_, err = session.New(session.Config{}, session.Hooks{})
	require.ErrorIs(t, err, session.ErrInvalid, "a session without a store")
	_, err = session.New(session.Config{Words: 3}, newRegistry().hooks())
	require.Error(t, err, "too few words")
}

func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		defer s.Close(nil)
		other := open(t, session.Config{}, newRegistry())
		defer other.Close(nil)
		require.NotEqual(t, s.ID(), other.ID())
		require.NotEqual(t, s.Passphrase().Reveal(), other.Passphrase().Reveal())
		require.True(t, s.Passphrase().Generated())
		require.True(t, s.Deadline().Equal(time.Now().Add(10*time.Minute)))
		require.Equal(t, time.Minute, s.Remaining(time.Now().Add(9*time.Minute)))
		require.Zero(t, s.Remaining(time.Now().Add(time.Hour)))
		require.True(t, s.Open())
		require.NoError(t, s.Cause())
	})
}

func TestConfigIsACopy(t *testing.T) {
	cfg := session.Config{WantNames: []string{"a"}, Services: map[string]string{"db": "1"}}
	s := open(t, cfg, newRegistry())
	defer s.Close(nil)
	cfg.WantNames[0], cfg.Services["db"] = "b", "2"
	o, err := session.NewOffer(certificate(t), session.Intent{Name: "a", Services: map[string]string{"db": "1"}})
	require.NoError(t, err)
	propose(t, s, o, session.StateOffered)
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{Timeout: time.Minute}, newRegistry())
		id := propose(t, s, offer(t, "late"), session.StateOffered)
		changed := s.Changed(id)
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.True(t, s.Open())
		require.False(t, closedNow(changed))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.ErrorIs(t, s.Cause(), session.ErrExpired)
		require.True(t, closedNow(s.Done()))
		require.True(t, closedNow(s.Ended()), "nobody was approved, so nothing is left to do")
		require.True(t, closedNow(changed), "whoever waits hears of the end at once")
		j := requireState(t, s, id, session.StateFailed)
		require.Equal(t, "expired", session.CodeOf(j.Cause))
		require.Zero(t, s.Remaining(time.Now()))
		require.Equal(t, []string{"offered", "closed", "failed", "ended"}, kinds(recorded(s)))

		_, err := s.Propose(t.Context(), offer(t, "later"))
		require.ErrorIs(t, err, session.ErrClosed)
		require.ErrorIs(t, err, session.ErrExpired)
		_, ok := errors.AsType[*session.RefusedError](err)
		require.True(t, ok)
		require.ErrorIs(t, s.Approve(t.Context(), id), session.ErrExpired)
		require.ErrorIs(t, s.Deny(id, ""), session.ErrClosed)
	})
}

func TestFirstCauseWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{}, newRegistry())
		s.Close(&session.StoppedError{Reason: "lunch"})
		s.Close(session.ErrExhausted)
		s.Close(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, "stopped", session.CodeOf(s.Cause()))
		require.Equal(t, "lunch", session.TextOf(s.Cause()))
		require.Equal(t, []string{"closed", "ended"}, kinds(recorded(s)))
	})
	s := open(t, session.Config{}, newRegistry())
	s.Close(nil)
	require.ErrorIs(t, s.Cause(), session.ErrStopped)
}

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, session.Config{Timeout: time.Minute}, newRegistry())
		waiting := propose(t, s, offer(t, "waiting"), session.StateOffered)
		member := offer(t, "member")
		id := propose(t, s, member, session.StateOffered)
		require.NoError(t, s.Approve(t.Context(), id))
		require.True(t, s.Serving(id))
		require.False(t, s.Serving(session.OfferID{1}))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.True(t, closedNow(s.Done()))
		require.False(t, closedNow(s.Ended()))
		require.True(t, s.Serving(id))
		require.True(t, s.Serving(waiting), "to be told the cause")
		propose(t, s, member, session.StateAdmitted)
		changed := s.Changed(id)
		time.Sleep(2*time.Minute - 1)
		synctest.Wait()
		require.True(t, s.Serving(id))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.False(t, s.Serving(id))
		require.True(t, closedNow(changed))
		require.True(t, closedNow(s.Ended()))
		_, err := s.Propose(t.Context(), member)
		require.ErrorIs(t, err, session.ErrClosed)
		requireState(t, s, id, session.StateAdmitted)
		require.NoError(t, s.Confirm(id), "a first contact after the grace period still counts")
		events := recorded(s)
		require.Equal(t, "ended", events[len(events)-1].Kind.String())
	})
}

func TestGraceEndsWhenNobodyIsUnfinished(t *testing.T) {
	for name, finish := range map[string]func(*session.Session, session.OfferID) error{
		"confirmed": (*session.Session).Confirm,
		"left":      func(s *session.Session, id session.OfferID) error { return s.Abort(id, "bye") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, session.Config{}, newRegistry())
				id := admitted(t, s, "member")
				j := requireState(t, s, id, session.StateAdmitted)
				require.True(t, j.Unfinished())
				s.Close(nil)
				require.False(t, closedNow(s.Ended()))
				require.NoError(t, finish(s, id))
				require.True(t, closedNow(s.Ended()))
				events := recorded(s)
				require.ErrorIs(t, events[len(events)-1].Cause, session.ErrStopped)
			})
		})
	}
}

func TestLimitEndsTheSession(t *testing.T) {
	cert := certificate(t)
	for name, cfg := range map[string]session.Config{
		"MaxJoiners":       {MaxJoiners: 2},
		"WantNames":        {WantNames: []string{"a", "b"}},
		"WantFingerprints": {MaxJoiners: 9, WantFingerprints: []certstore.Fingerprint{certstore.FingerprintOf(cert), {1}}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "WantFingerprints" {
				cfg.MaxJoiners = 1
			}
			s := open(t, cfg, newRegistry())
			a := propose(t, s, offerOf(t, cert, "a"), session.StateOffered)
			require.NoError(t, s.Approve(t.Context(), a))
			if cfg.MaxJoiners != 1 {
				require.True(t, s.Open())
				// Another intent of the same machine takes no second place.
				again := propose(t, s, offerOf(t, cert, "a", "a:2"), session.StateOffered)
				require.NoError(t, s.Approve(t.Context(), again))
				require.True(t, s.Open())
				admitted(t, s, "b")
			}
			require.ErrorIs(t, s.Cause(), session.ErrLimitReached)
			_, err := s.Propose(t.Context(), offer(t, "a"))
			require.ErrorIs(t, err, session.ErrLimitReached)
		})
	}
}
