package unattended_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/lantest"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/unattended"
	"github.com/stretchr/testify/require"
)

var errEnough = errors.New("the test has seen enough")

// enough returns a context, and what ends it.
func enough(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, func() { cancel(errEnough) }
}

// TestDeadMachineIsNamed: a machine that dies after it has joined is named by every other one, and one that gave up is not.
func TestDeadMachineIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 4, skip)
	ctx1, end1 := enough(t)
	ctx2, end2 := enough(t)
	m1, m2, m3 := s.start("micro01"), s.start("micro02"), s.start("micro03")
	done1, done2, done3 := m1.run(ctx1), m2.run(ctx2), m3.run(t.Context())
	m1.awaitMissing("micro04 has never been seen")
	m2.awaitMissing("micro04 is no member")
	m3.awaitMissing("micro04 is no member")
	m3.stop()
	ended(t, done3)
	m1.awaitMissing("micro03 is a member and was not reached", "micro04 has never been seen")
	end1()
	err := missing(t, done1)
	require.ErrorIs(t, err, errEnough)
	require.Equal(t, []string{"micro03 is a member and was not reached", "micro04 has never been seen"}, listed(err.Missing))
	require.Regexp(t, `^the test has seen enough; missing of 4 machines: micro03 is a member and was not reached since \d\d:\d\d:\d\d: .+; micro04 has never been seen$`, err.Error())
	m1.stop()
	require.Eventually(t, func() bool { // that m1 is not there any more
		first := m2.svc.Status()[0]
		return first.Member.Name == "micro01" && first.State == trust.MemberUnreachable
	}, 30*time.Second, 5*time.Millisecond)
	end2()
	require.Equal(t, []string{"micro03 is a member and was not reached", "micro04 is no member"}, listed(missing(t, done2).Missing))
}

// TestHangingMachineIsNamed: one that takes connections and says nothing, as a stopped process does, is named like a dead one.
func TestHangingMachineIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 4, skip)
	s.patience = time.Second
	ctx, end := enough(t)
	m1, m2, m3 := s.start("micro01"), s.start("micro02"), s.start("micro03")
	done1, done2, done3 := m1.run(ctx), m2.run(ctx), m3.run(t.Context())
	m1.awaitMissing("micro04 has never been seen")
	m2.awaitMissing("micro04 is no member")
	m3.stop()
	ended(t, done3)
	var silent net.Listener // whose connections the kernel takes
	require.Eventually(t, func() (ok bool) {
		var err error
		silent, err = net.Listen("tcp", s.addr["micro03"])
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	defer silent.Close()
	m1.awaitMissing("micro03 is a member and was not reached", "micro04 has never been seen")
	m2.awaitMissing("micro03 is a member and was not reached", "micro04 is no member")
	s.start("micro04").run(ctx)
	m1.awaitMissing("micro03 is a member and was not reached")
	m2.awaitMissing("micro03 is a member and was not reached")
	end()
	require.Contains(t, listed(missing(t, done1).Missing), "micro03 is a member and was not reached")
	require.Contains(t, listed(missing(t, done2).Missing), "micro03 is a member and was not reached")
}

// TestWrongAddressIsNoticed: a machine that calls the others and cannot be called where it says is not in place.
func TestWrongAddressIsNoticed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, skip)
	ctx, end := enough(t)
	m1, m2, m3 := s.start("micro01"), s.start("micro02"), s.start("micro03")
	done1, done2 := m1.run(ctx), m2.run(ctx)
	done3 := m3.runWith(ctx, unattended.Machine{Addresses: []string{lantest.FreeAddress(t)}})
	m3.awaitMissing("micro01 is a member and has not met all others", "micro02 is a member and has not met all others")
	for _, m := range []*machine{m1, m2} {
		m.await("why micro03 was not reached", func(p unattended.Progress) bool { return len(p.Missing) == 1 && p.Missing[0].Err != nil })
	}
	end()
	for _, done := range []<-chan outcome{done1, done2} {
		err := missing(t, done)
		require.Equal(t, []string{"micro03 is a member and was not reached"}, listed(err.Missing))
		require.ErrorContains(t, err, "refused")
	}
	missing(t, done3)
}

// TestTimeIsOver: a machine whose initiator is not there names it, and the initiator names who never came.
func TestTimeIsOver(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, skip, "timeout: 1s")
	err := missing(t, s.start("micro02").run(t.Context()))
	require.ErrorIs(t, err, unattended.ErrTime)
	require.ErrorIs(t, err.Missing[0].Err, trust.ErrUnreachable)
	require.Equal(t, []string{"micro02 has not joined"}, listed(err.Missing))
	require.ErrorContains(t, err, "micro01 at "+s.addr["micro01"])

	err = missing(t, s.start("micro01").run(t.Context()))
	require.ErrorIs(t, err, unattended.ErrTime)
	require.Equal(t, []string{"micro02 has never been seen"}, listed(err.Missing))
}

// TestRefusedForGood: a joiner whose file or certificate is not right ends at once, and the initiator knows why it is missing.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	const other = "an other passphrase"
	rows := map[string]struct {
		part    unattended.Machine
		file    func(*site) // of the joiner
		is      error
		missing string // at the initiator
		reason  string // of it
	}{
		"wrong passphrase": {
			file: func(s *site) { s.head = strings.Replace(s.head, passphrase, other, 1) },
			is:   trust.ErrRefused, missing: "micro02 has never been seen",
		},
		"wrong service": {
			part: unattended.Machine{Services: map[string]string{"storage": "18"}},
			is:   session.ErrDenied, missing: "micro02 proved the passphrase and was refused", reason: "service storage must be 19, and is 18",
		},
		"no service": {
			part: unattended.Machine{Services: map[string]string{}},
			is:   session.ErrDenied, missing: "micro02 proved the passphrase and was refused", reason: "service storage must be 19, and is not there",
		},
		"wrong initiator": {
			file: func(s *site) {
				s.head = strings.Replace(s.head, skip+"\n", "", 1)
				s.members[0] = strings.Replace(s.members[0], "}", ", fingerprint: '"+print1+"'}", 1)
			},
			is: &trust.FingerprintError{}, missing: "micro02 has never been seen",
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 2, skip, "services: {storage: '19'}")
			ctx, end := enough(t)
			m1 := s.start("micro01")
			done1 := m1.run(ctx)
			m1.awaitMissing("micro02 has never been seen")
			theirs := *s
			if row.file != nil {
				theirs.members = append([]string{}, s.members...)
				row.file(&theirs)
			}
			err := missing(t, theirs.start("micro02").runWith(t.Context(), row.part))
			if _, typed := row.is.(*trust.FingerprintError); typed {
				require.ErrorAs(t, err, new(*trust.FingerprintError))
			} else {
				require.ErrorIs(t, err, row.is)
			}
			require.Equal(t, []string{"micro02 has not joined"}, listed(err.Missing))
			require.ErrorContains(t, err, row.reason)
			require.Equal(t, 1, strings.Count(err.Error(), err.Cause.Error()), "said twice: %v", err)
			if row.reason != "" {
				m1.awaitMissing(row.missing)
			}
			end()
			err = missing(t, done1)
			require.Equal(t, []string{row.missing}, listed(err.Missing))
			require.ErrorContains(t, err, row.reason)
		})
	}
}

// TestWrongFingerprintIsRefused: both sides hold the file's fingerprints against the certificates.
func TestWrongFingerprintIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, skip)
	theirs := *s
	theirs.members = append([]string{}, s.members...)
	s.members[1] = strings.Replace(s.members[1], "}", ", fingerprint: '"+print1+"'}", 1)
	ctx, end := enough(t)
	m1 := s.start("micro01")
	done := m1.run(ctx)
	m2 := theirs.start("micro02")
	err := missing(t, m2.run(t.Context()))
	m2.stop()
	require.ErrorIs(t, err, session.ErrDenied)
	require.ErrorContains(t, err, "its fingerprint is not the one in the file")
	m1.awaitMissing("micro02 proved the passphrase and was refused")
	end()
	require.ErrorContains(t, missing(t, done), "its fingerprint is not the one in the file")

	again := s.start("micro02")
	_, err2 := s.plan().Run(t.Context(), unattended.Machine{Store: again.store, Service: again.svc, Addresses: []string{s.addr["micro02"]}})
	require.ErrorIs(t, err2, unattended.ErrConfig, "its own certificate is not the file's")
}

// TestMembersThatAreNotInPlace: members of whom this machine knows that something is not right with them.
func TestMembersThatAreNotInPlace(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, skip)
	m1, m2 := s.start("micro01"), s.start("micro02")
	require.NoError(t, m1.store.Bootstrap(t.Context(), s.addr["micro01"]))
	id := m2.store.Identity()
	_, err := m1.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: id.Name()})
	require.NoError(t, err)
	stranger, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro03"})
	require.NoError(t, err)
	_, err = m1.store.Admit(t.Context(), certstore.AdmitRequest{Certificate: stranger.Certificate(), Name: "micro03"})
	require.NoError(t, err)
	s.members[2] = strings.Replace(s.members[2], "}", ", fingerprint: '"+print1+"'}", 1)
	ctx, end := enough(t)
	done := m1.run(ctx)
	want := []string{"micro02 was admitted and has not confirmed it", "micro03 is not the machine that holds this name"}
	m1.awaitMissing(want...)
	end()
	require.Equal(t, want, listed(missing(t, done).Missing))
}

// TestNameOfAnother: a second machine of one name is refused, and the first one stays.
func TestNameOfAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, skip)
	ctx, end := enough(t)
	m1, m2 := s.start("micro01"), s.start("micro02")
	done1, done2 := m1.run(ctx), m2.run(ctx)
	m1.awaitMissing("micro03 has never been seen")
	m2.awaitMissing("micro03 is no member")
	s.addr["micro02"] = lantest.FreeAddress(t)
	impostor := s.startIn(filepath.Join(t.TempDir(), "other"), "micro02")
	err := missing(t, impostor.run(t.Context()))
	require.ErrorIs(t, err, session.ErrDenied)
	require.ErrorContains(t, err, "the same name")
	end()
	require.Equal(t, []string{"micro03 has never been seen"}, listed(missing(t, done1).Missing))
	require.Equal(t, []string{"micro03 is no member"}, listed(missing(t, done2).Missing))
}

// TestRunAgain: an interrupted plan goes on where it stood, whoever was interrupted, and a complete one stays so.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, skip)
	ctx, end := enough(t)
	m1, m2 := s.start("micro01"), s.start("micro02")
	done1, done2 := m1.run(ctx), m2.run(ctx)
	m1.awaitMissing("micro03 has never been seen")
	m2.awaitMissing("micro03 is no member")
	m1.stop() // the initiator dies
	ended(t, done1)
	m3 := s.start("micro03")
	done3 := m3.run(t.Context()) // and comes back while others wait for it
	m1 = s.startIn(m1.dir, "micro01")
	done1 = m1.run(t.Context())
	end() // micro02 gives up
	missing(t, done2)
	m2.stop()
	m2 = s.startIn(m2.dir, "micro02") // and is started again
	done2 = m2.run(t.Context())
	for _, done := range []<-chan outcome{done1, done2, done3} {
		o := ended(t, done)
		require.NoError(t, o.err)
		require.Equal(t, 3, o.report.Members.Len())
	}
	m2.stop()
	m3.stop()
	require.NoError(t, ended(t, m1.run(t.Context())).err, "it was complete")
}

// TestGivingUpIsTakenBack: what a machine says of itself when it gives up is true until it is started again.
func TestGivingUpIsTakenBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, skip)
	ctx, end := enough(t)
	m1, m2 := s.start("micro01"), s.start("micro02")
	done1 := m1.run(ctx)
	ctx2, end2 := enough(t)
	done2 := m2.run(ctx2)
	m2.awaitMissing("micro03 is no member")
	says := func(want string) {
		require.Eventually(t, func() bool {
			m, err := m1.store.Snapshot().ByName("micro02")
			_, said, _ := strings.Cut(m.Attributes["unattended"], " ")
			return err == nil && said == want
		}, 30*time.Second, 5*time.Millisecond)
	}
	end2()
	missing(t, done2)
	says("gave up")
	done2 = m2.run(ctx)
	says("")
	end()
	missing(t, done1)
	missing(t, done2)
}

// TestWithoutEffect: what cannot work is refused before anything happens.
func TestWithoutEffect(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, skip)
	s.addr["micro09"] = lantest.FreeAddress(t)
	m := s.start("micro01")
	stranger := s.start("micro09")
	fromFile, err := unattended.Parse([]byte(strings.Replace(s.text(), "passphrase: "+passphrase, "passphrase_file: p", 1)), "f.yaml")
	require.NoError(t, err)
	here := []string{s.addr["micro01"]}
	for reason, run := range map[string]func() (unattended.Report, error){
		"no store": func() (unattended.Report, error) {
			return s.plan().Run(t.Context(), unattended.Machine{Service: m.svc, Addresses: here})
		},
		"no service": func() (unattended.Report, error) {
			return s.plan().Run(t.Context(), unattended.Machine{Store: m.store, Addresses: here})
		},
		"no address": func() (unattended.Report, error) {
			return s.plan().Run(t.Context(), unattended.Machine{Store: m.store, Service: m.svc})
		},
		"bad address": func() (unattended.Report, error) {
			return s.plan().Run(t.Context(), unattended.Machine{Store: m.store, Service: m.svc, Addresses: []string{"x"}})
		},
		"not in the file": func() (unattended.Report, error) {
			return s.plan().Run(t.Context(), unattended.Machine{Store: stranger.store, Service: stranger.svc, Addresses: []string{s.addr["micro09"]}})
		},
		"passphrase not read": func() (unattended.Report, error) {
			return fromFile.Run(t.Context(), unattended.Machine{Store: m.store, Service: m.svc, Addresses: here})
		},
	} {
		_, err := run()
		require.ErrorIs(t, err, unattended.ErrConfig, reason)
	}
	_, in := m.store.Cluster()
	require.False(t, in)
}

func TestReasonsHaveWords(t *testing.T) {
	seen := map[string]bool{}
	for why := unattended.NotJoined; why <= unattended.GaveUp; why++ {
		seen[why.String()] = true
	}
	require.Len(t, seen, 9)
	require.NotContains(t, seen, unattended.Why(0).String())
	never := unattended.Missing{Name: "a", Why: unattended.Unreached}
	require.Equal(t, "a is a member and was not reached yet", never.String())
	never.LastSeen = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	require.Equal(t, "a is a member and was not reached since 03:04:05", never.String())
}
