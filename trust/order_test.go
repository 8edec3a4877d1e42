package trust_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestAnyOrder: the joiner starts before there is a daemon at all, and before the session is open.
func TestAnyOrder(t *testing.T) {
	const chosen = "a passphrase agreed beforehand"
	for _, tt := range []struct {
		name string
		wait time.Duration
		want error
	}{
		{"no wait", 0, trust.ErrUnreachable},
		{"too short for the daemon", 5 * time.Second, trust.ErrUnreachable},
		{"too short for the session", 15 * time.Second, trust.ErrNoSession},
		{"long enough", time.Minute, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				second := newMachine(t, "micro02")
				cfg := trust.JoinConfig{
					Store: second.store, Passphrase: passphrase(t, chosen), InsecureSkipFingerprint: true, Wait: tt.wait, Dial: n.dial,
				}
				var retried []error
				cfg.Progress = func(p trust.Progress) {
					if p.Retry != nil {
						retried = append(retried, p.Retry)
					}
				}
				began, returned := time.Now(), time.Duration(0)
				joined := make(chan error, 1)
				go func() {
					_, err := trust.Join(t.Context(), firstAddr, cfg)
					returned = time.Since(began)
					joined <- err
				}()
				pass(10 * time.Second)
				first := n.founder(t, trust.Config{})
				pass(10 * time.Second)
				s := first.open(session.Config{Passphrase: passphrase(t, chosen)})
				err := <-joined
				if tt.want != nil {
					require.ErrorIs(t, err, tt.want)
					require.GreaterOrEqual(t, returned, tt.wait)
					require.Less(t, returned, tt.wait+4*time.Second)
					require.Equal(t, tt.wait > 0, len(retried) > 0)
					absent(t, second, first)
					require.Empty(t, s.Joiners())
					return
				}
				require.NoError(t, err)
				require.Less(t, returned, 24*time.Second, "soon after the session opened")
				require.Less(t, n.dialed(), 20, "without hammering")
				require.ErrorIs(t, retried[0], trust.ErrUnreachable)
				require.ErrorIs(t, retried[len(retried)-1], trust.ErrNoSession)
				same(t, first, second)
				require.Equal(t, session.StateJoined, only(t, s).State)
			})
		})
	}
}

// TestWrongPassphraseIsNotTriedAgain: waiting is for sides that start late, not for guessing.
func TestWrongPassphraseIsNotTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, n *lan) {
		first := n.founder(t, trust.Config{})
		s := first.open(session.Config{})
		second := newMachine(t, "micro02")
		cfg := n.joinConfig(second, s, first)
		cfg.Passphrase, cfg.Wait = wrong(t), time.Hour
		_, err := trust.Join(t.Context(), firstAddr, cfg)
		require.ErrorIs(t, err, trust.ErrRefused)
		require.EqualValues(t, 1, s.WrongProofs())
		absent(t, second, first)
	})
}

// interruption is one stage at which a join is interrupted.
type interruption struct {
	name     string
	arm      func(cfg *trust.JoinConfig, s *session.Session, cut func())
	approved bool          // before the interruption
	want     session.State // at the initiator; StateUnknown for one that never heard of the joiner
}

func interruptions(t *testing.T) []interruption {
	approve := func(s *session.Session) { require.NoError(t, s.Approve(t.Context(), only(t, s).ID)) }
	on := func(stage trust.Stage) func(*trust.JoinConfig, *session.Session, func()) {
		return func(cfg *trust.JoinConfig, _ *session.Session, cut func()) { cfg.Progress = at(stage, cut) }
	}
	return []interruption{
		{"before anything", on(trust.Connecting), false, session.StateUnknown},
		{"while dialling", func(cfg *trust.JoinConfig, _ *session.Session, cut func()) {
			cfg.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				cut()
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}, false, session.StateUnknown},
		{"in the TLS handshake", func(cfg *trust.JoinConfig, _ *session.Session, cut func()) {
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					there.Read(make([]byte, 1))
					cut()
				}()
				return here, nil
			}
		}, false, session.StateUnknown},
		{"between two tries", func(cfg *trust.JoinConfig, _ *session.Session, cut func()) {
			cfg.Wait = time.Hour
			cfg.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody there") }
			cfg.Progress = func(p trust.Progress) {
				if p.Retry != nil {
					cut()
				}
			}
		}, false, session.StateUnknown},
		{"before the proof", on(trust.Proving), false, session.StateUnknown},
		{"before the first poll", on(trust.Waiting), false, session.StateFailed},
		{"while waiting", func(cfg *trust.JoinConfig, _ *session.Session, cut func()) {
			cfg.Progress = at(trust.Waiting, func() { go func() { pass(45 * time.Second); cut() }() })
		}, false, session.StateFailed},
		{"while a person compares", func(cfg *trust.JoinConfig, s *session.Session, cut func()) {
			cfg.Fingerprint = certstore.Fingerprint{}
			cfg.Verify = func(ctx context.Context, _ trust.Initiator) error {
				approve(s)
				cut()
				pass(time.Hour) // whatever ctx says
				return nil
			}
		}, true, session.StateAdmitted},
		{"before the set is stored", func(cfg *trust.JoinConfig, s *session.Session, cut func()) {
			waiting, storing := at(trust.Waiting, func() { approve(s) }), at(trust.Storing, cut)
			cfg.Progress = func(p trust.Progress) { waiting(p); storing(p) }
		}, true, session.StateAdmitted},
	}
}

// TestJoinHonoursItsContext: at every stage, at once, with the cause; nothing is stored, and the initiator is told.
func TestJoinHonoursItsContext(t *testing.T) {
	for i, stage := range interruptions(t) {
		t.Run(stage.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				stage := interruptions(t)[i]
				first := n.founder(t, trust.Config{})
				s := first.openAsking(session.Config{})
				second := newMachine(t, "micro02")
				ctx, cancel := context.WithCancelCause(t.Context())
				var since time.Time
				cfg := n.joinConfig(second, s, first)
				stage.arm(&cfg, s, func() { since = time.Now(); cancel(errLeft) })
				_, err := trust.Join(ctx, firstAddr, cfg)
				require.ErrorIs(t, err, errLeft)
				require.Less(t, time.Since(since), soon, "at once")
				empty(t, second)
				if stage.want == session.StateUnknown {
					require.Empty(t, s.Joiners())
					return
				}
				j := only(t, s)
				require.Equal(t, stage.want.String(), j.State.String())
				require.Equal(t, stage.approved, j.Away)
				requireLeft(t, j, "the joining side was interrupted")
				s.Close(nil)
				last := session.EventFailed
				if stage.approved {
					last = session.EventAway
				}
				told := kinds(t, s, "micro02")
				require.Equal(t, last, told[len(told)-1])
				pass(2 * time.Hour) // the person who was asked comes back
			})
		})
	}
}

// requireLeft requires that the session knows why the joiner left, in the joiner's words.
func requireLeft(t *testing.T, j session.Joiner, reason string) {
	t.Helper()
	left, ok := errors.AsType[*session.AbortedError](j.Cause)
	require.True(t, ok, "%v", j.Cause)
	require.Equal(t, reason, left.Reason)
}

// TestVerifyDecides: a fingerprint that is not confirmed ends the join on both sides, also when the approval was faster; while
// it is being compared nothing is stored.
func TestVerifyDecides(t *testing.T) {
	notMine := errors.New("the pictures differ")
	for _, tt := range []struct {
		name     string
		approved bool
		answer   error
		want     session.State
	}{
		{"not confirmed", false, notMine, session.StateFailed},
		{"not confirmed, approved before", true, notMine, session.StateAdmitted},
		{"confirmed", true, nil, session.StateJoined},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				first := n.founder(t, trust.Config{})
				s := first.openAsking(session.Config{})
				second := newMachine(t, "micro02")
				cfg := n.joinConfig(second, s, first)
				cfg.Fingerprint = certstore.Fingerprint{}
				asked := 0
				cfg.Verify = func(_ context.Context, shown trust.Initiator) error {
					asked++
					require.Equal(t, first.store.Identity().Fingerprint(), shown.Fingerprint)
					require.Equal(t, "micro01", shown.Name)
					require.Equal(t, firstAddr, shown.Address)
					if tt.approved {
						require.NoError(t, s.Approve(t.Context(), only(t, s).ID))
					}
					pass(time.Minute) // longer than a poll
					empty(t, second)
					return tt.answer
				}
				_, err := trust.Join(t.Context(), firstAddr, cfg)
				require.Equal(t, 1, asked)
				j := only(t, s)
				require.Equal(t, tt.want.String(), j.State.String())
				if tt.answer == nil {
					require.NoError(t, err)
					same(t, first, second)
					return
				}
				require.ErrorIs(t, err, trust.ErrNotVerified)
				require.ErrorIs(t, err, tt.answer)
				requireLeft(t, j, "the fingerprint was not confirmed on the joining side")
				empty(t, second)
			})
		})
	}
}

// TestEndWhileComparing: when the session stops, or the joiner is denied, while a person compares fingerprints, nobody need
// compare any longer.
func TestEndWhileComparing(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*session.Session, session.OfferID)
		want error
	}{
		{"stopped", func(s *session.Session, _ session.OfferID) { s.Close(&session.StoppedError{Reason: "enough"}) }, &session.StoppedError{Reason: "enough"}},
		{"denied", func(s *session.Session, id session.OfferID) { s.Deny(id, "not you") }, &session.DeniedError{Reason: "not you"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, n *lan) {
				first := n.founder(t, trust.Config{})
				s := first.openAsking(session.Config{})
				second := newMachine(t, "micro02")
				cfg := n.joinConfig(second, s, first)
				cfg.Fingerprint = certstore.Fingerprint{}
				var since time.Time
				told := make(chan error, 1)
				cfg.Verify = func(ctx context.Context, _ trust.Initiator) error {
					pass(5 * time.Second)
					since = time.Now()
					tt.end(s, only(t, s).ID)
					<-ctx.Done()
					told <- context.Cause(ctx)
					pass(time.Hour) // a person who went for lunch
					return nil
				}
				_, err := trust.Join(t.Context(), firstAddr, cfg)
				require.Less(t, time.Since(since), soon)
				require.Equal(t, tt.want, err)
				require.Equal(t, tt.want, <-told)
				absent(t, second, first)
				pass(2 * time.Hour)
			})
		})
	}
}

// TestJoinOverIPv6: the same by an address in brackets.
func TestJoinOverIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	first := newMachine(t, "micro01").serveOn(ln, trust.Config{}, nil)
	require.Contains(t, first.addr, "[::1]:")
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	s := first.open(session.Config{})
	second := newMachine(t, "micro02")
	res := join(t, second, first, s)
	require.Equal(t, first.addr, res.Initiator.Address)
	same(t, first, second)
	resp, err := second.get("micro01", "/")
	require.NoError(t, err)
	require.Equal(t, http.StatusTeapot, resp.StatusCode)
}

// badIntent is one field that breaks a rule.
type badIntent struct {
	field string
	value any
	names string // what the refusal names
}

func badIntents() []badIntent {
	long, many, entries := strings.Repeat("x", 257), make([]string, 17), map[string]string{}
	for i := range many {
		many[i] = fmt.Sprintf("192.0.2.%d:8443", i+1)
	}
	for i := range 65 {
		entries[fmt.Sprint("key", i)] = "value"
	}
	bad := []badIntent{
		{"addresses", many, "addresses"},
		{"addresses", []string{"192.0.2.1:8443", "192.0.2.1:8443"}, "addresses[1]"},
	}
	for _, name := range []string{"", "Micro02", "micro02.", "-micro02", "micro 02", "micro/02", "../micro02", "192.0.2.1", "mi\ncro", long} {
		bad = append(bad, badIntent{"name", name, "name"})
	}
	for _, address := range []string{
		"", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "[fe80::1%eth0]:8443", "0.0.0.0:8443", "[::ffff:192.0.2.1]:8443", "[ff02::1]:8443", "Host:8443",
	} {
		bad = append(bad, badIntent{"addresses", []string{"192.0.2.1:8443", address}, "addresses[1]"})
	}
	for _, field := range []string{"services", "attributes"} {
		bad = append(bad,
			badIntent{field, entries, field},
			badIntent{field, map[string]string{"": "value"}, field + `[""]`},
			badIntent{field, map[string]string{"a key": "value"}, field + `["a key"]`},
			badIntent{field, map[string]string{long[:65]: "value"}, field},
			badIntent{field, map[string]string{"key": long}, field + `["key"]`},
			badIntent{field, map[string]string{"key": "\x1b[2J"}, field + `["key"]`})
	}
	return bad
}

// TestBadIntents: a joiner that proved itself and asks for something impossible is told which field is wrong; nothing of it is
// kept.
func TestBadIntents(t *testing.T) {
	first := target(t)
	s := first.open(session.Config{})
	second := newMachine(t, "micro02")
	j := raw(t, second, first, s.Passphrase())
	before := len(first.store.Statements())
	bad := badIntents()
	require.GreaterOrEqual(t, len(bad), 32)
	for _, tt := range bad {
		in := intent("micro02")
		in[tt.field] = tt.value
		reply := j.call(j.begin().sign(hmacauth.EndpointJoin, in))
		require.Equal(t, "refused", reply["state"], "%s: %q", tt.field, tt.value)
		require.Equal(t, "invalid", reply["code"], "%s: %q", tt.field, tt.value)
		require.Regexp(t, "^"+regexp.QuoteMeta(tt.names), reply["reason"], "%s: %q", tt.field, tt.value)
		require.Empty(t, s.Joiners())
		result := j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))
		require.Equal(t, "invalid", result["code"], "and it stays so")
	}
	require.Zero(t, s.WrongProofs())
	require.Len(t, first.store.Statements(), before)
	_, reply := j.prove("micro02")
	require.Equal(t, "pending", reply["state"], "the next one of the same machine is welcome")
}

// TestBadIntentsStayAtHome: Join refuses them itself, before it dials.
func TestBadIntentsStayAtHome(t *testing.T) {
	second := newMachine(t, "micro02")
	tested := 0
	for _, tt := range badIntents() {
		cfg := gullible(second, wrong(t))
		cfg.Dial = func(context.Context, string, string) (net.Conn, error) { panic("dialled") }
		switch value := tt.value.(type) {
		case []string:
			cfg.Addresses = value
		case map[string]string:
			cfg.Attributes = value
			if tt.field == "services" {
				cfg.Attributes, cfg.Services = nil, value
			}
		default:
			continue // the name is the identity's
		}
		_, err := trust.Join(t.Context(), firstAddr, cfg)
		require.ErrorIs(t, err, trust.ErrConfig)
		wrongField, ok := errors.AsType[*session.FieldError](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, wrongField.Field, tt.names)
		tested++
	}
	require.GreaterOrEqual(t, tested, 22)
	empty(t, second)
}
