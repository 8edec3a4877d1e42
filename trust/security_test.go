package trust_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/events"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// stage is a founder whose security log and metrics are kept, and the secrets that were in use on it.
type stage struct {
	*machine
	log      *securityLog
	registry *metrics.Registry
	secrets  []string
}

func onStage(t *testing.T, cfg trust.Config) *stage {
	t.Helper()
	s := &stage{log: new(securityLog), registry: metrics.NewRegistry()}
	cfg.Logger, cfg.Metrics = s.log.logger(), s.registry
	s.machine = newMachine(t, "micro01").serve(cfg)
	require.NoError(t, s.store.Bootstrap(t.Context(), s.addr))
	s.secrets = append(s.secrets, privateKeys(t, s.machine)...)
	return s
}

// privateKeys returns what would show the private keys of a machine in a log.
func privateKeys(t *testing.T, m *machine) (found []string) {
	require.NoError(t, filepath.WalkDir(m.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "PRIVATE KEY" {
				key := block.Bytes[len(block.Bytes)-32:]
				found = append(found, hex.EncodeToString(key), base64.StdEncoding.EncodeToString(key)[:40], fmt.Sprint(key), string(key), block.Type)
			}
		}
		return err
	}))
	require.NotEmpty(t, found)
	return found
}

func (s *stage) open(cfg session.Config) *session.Session {
	open := s.machine.open(cfg)
	s.secrets = append(s.secrets, open.Passphrase().Reveal())
	return open
}

// has waits for a record of that event in which these fields, given in pairs, are so.
func (s *stage) has(kind events.Kind, pairs ...string) map[string]any {
	s.t.Helper()
	var found map[string]any
	require.Eventually(s.t, func() bool {
		for _, record := range s.log.all(s.t) {
			fits := record["event"] == kind.String()
			for i := 0; i < len(pairs); i += 2 {
				fits = fits && fmt.Sprint(record[pairs[i]]) == pairs[i+1]
			}
			if fits {
				found = record
				return true
			}
		}
		return false
	}, 30*time.Second, 5*time.Millisecond, "%v %v in\n%s", kind, pairs, lazily(s.log))
	require.Equal(s.t, kind.Level().String(), found["level"])
	require.Equal(s.t, string(kind.Category()), found["category"])
	return found
}

// lazily prints what a log holds when it is printed.
type lazyLog struct{ log *securityLog }

func lazily(l *securityLog) lazyLog { return lazyLog{l} }

func (l lazyLog) String() string {
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	return l.log.text.String()
}

// all returns the records of the security log.
func (l *securityLog) all(t testing.TB) (found []map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(l.text.Bytes()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal(line, &record))
		if record["security"] == true {
			found = append(found, record)
		}
	}
	return found
}

// scenes are real acts, each with the events that it causes.
func scenes() map[string]func(*testing.T) *stage {
	return map[string]func(*testing.T) *stage{
		"join": sceneJoin, "wrong proofs": sceneWrongProofs, "back-off": sceneBackOff, "invitations": sceneInvitations, "lifecycle": sceneLifecycle,
		"refused joiners": sceneRefused, "limits": sceneLimits, "odd messages": sceneOddMessages, "strangers": sceneStrangers,
		"members": sceneMembers, "rotation": sceneRotation, "leaving": sceneLeaving, "older format": sceneOlderFormat,
	}
}

// TestEveryEventIsProvoked: each event by a real act, with the fields that say what happened; and no secret that was in use, neither
// passphrases nor invitations nor private keys, is in any record.
func TestEveryEventIsProvoked(t *testing.T) {
	seen := map[any]bool{}
	for name, scene := range scenes() {
		t.Run(name, func(t *testing.T) {
			s := scene(t)
			for _, record := range s.log.all(t) {
				seen[record["event"]] = true
			}
			text := lazily(s.log).String()
			require.GreaterOrEqual(t, len(s.secrets), 5)
			for _, secret := range s.secrets {
				require.NotContains(t, strings.ToLower(text), strings.ToLower(secret))
			}
		})
	}
	for _, kind := range events.Kinds() {
		require.True(t, seen[kind.String()], kind)
	}
}

func sceneJoin(t *testing.T) *stage {
	s := onStage(t, trust.Config{})
	open := s.open(session.Config{MaxJoiners: 7})
	id := open.ID()
	s.has(events.SessionCreated, "session", hex.EncodeToString(id[:]), "role", "initiator", "count", "7", "node", "micro01")
	s.has(events.TokenCreated, "session", hex.EncodeToString(id[:]))
	second := newMachine(t, "micro02")
	cfg := second.joinConfig(open, s.machine)
	joiner := &stage{machine: second, log: new(securityLog)}
	cfg.Logger = joiner.log.logger()
	_, err := trust.Join(t.Context(), s.addr, cfg)
	require.NoError(t, err)
	fp := second.store.Identity().Fingerprint().String()
	s.has(events.LoginSuccess, "subject", "micro02", "fingerprint", fp, "source", "127.0.0.1")
	s.has(events.Admin, "action", "cluster_join", "subject", "micro02", "fingerprint", fp, "compared", "policy", "by", "micro01")
	require.EqualValues(t, 1, s.registry.Counter(metrics.Joins, "joined"))
	require.EqualValues(t, 1, s.registry.Histogram(metrics.JoinSeconds).Count)
	require.EqualValues(t, 1, s.registry.Histogram(metrics.ProofSeconds).Count)
	require.EqualValues(t, 2, s.registry.Gauge(metrics.Members))
	require.EqualValues(t, 1, s.registry.Gauge(metrics.SessionOpen))
	open.Close(nil)
	s.has(events.SessionExpired, "session", hex.EncodeToString(id[:]), "count", "0")
	s.has(events.TokenRevoked, "session", hex.EncodeToString(id[:]))
	require.Zero(t, s.registry.Gauge(metrics.SessionOpen))

	own := s.store.Identity().Fingerprint().String()
	joiner.has(events.LoginSuccess, "by", "micro01", "fingerprint", own, "role", "joiner", "node", "micro02")
	joiner.has(events.SessionCreated, "role", "joiner")
	joiner.has(events.Admin, "action", "cluster_join", "subject", "micro02", "by", "micro01", "compared", "pinned", "fingerprint", own)
	joiner.has(events.SessionExpired, "role", "joiner")
	s.log.Write([]byte(lazily(joiner.log).String())) // for the look at secrets
	s.secrets = append(s.secrets, privateKeys(t, second)...)
	return s
}

func sceneWrongProofs(t *testing.T) *stage {
	s := onStage(t, generous())
	open := s.open(session.Config{Passphrase: passphrase(t, "a passphrase that a person chose")})
	second := newMachine(t, "micro02")
	cfg := second.joinConfig(open, s.machine)
	joiner := &stage{machine: second, log: new(securityLog)}
	cfg.Logger, cfg.Passphrase = joiner.log.logger(), wrong(t)
	_, err := trust.Join(t.Context(), s.addr, cfg)
	require.ErrorIs(t, err, trust.ErrRefused)
	s.has(events.LoginFail, "source", "127.0.0.1", "fingerprint", second.store.Identity().Fingerprint().String(), "count", "1", "protocol", trust.Protocol)
	joiner.has(events.LoginFail, "role", "joiner")
	_, err = trust.Join(t.Context(), s.addr, second.joinConfig(open, s.machine))
	require.NoError(t, err)
	s.has(events.LoginSuccessAfterFail, "subject", "micro02", "count", "1")
	third := newMachine(t, "micro03") // one, for all is to happen in the minute that is summed up
	for range 9 {
		j := raw(t, third, s.machine, wrong(t)).begin()
		j.refused(j.sign(hmacauth.EndpointJoin, intent("micro03")))
	}
	require.ErrorIs(t, open.Cause(), session.ErrExhausted)
	s.has(events.LoginFailMax, "reason", "maxretries", "count", "10")
	s.has(events.LoginLock, "reason", "maxretries")
	s.has(events.SessionExpired, "count", "10")
	s.has(events.TokenDelete)
	require.EqualValues(t, 10, s.registry.Counter(metrics.WrongProofs, trust.Protocol))
	s.svc.Events().Flush()
	s.has(events.LoginFail, "source", "127.0.0.0/24", "count", "9")
	s.secrets = append(s.secrets, wrong(t).Reveal())
	return s
}

func sceneBackOff(t *testing.T) *stage {
	cfg := generous()
	cfg.Attempts = ratelimit.AttemptsConfig{FreePerSource: 1, BackOff: time.Hour, MaxBackOff: time.Hour}
	s := onStage(t, cfg)
	s.open(session.Config{})
	for range 2 {
		j := raw(t, newMachine(t, "micro02"), s.machine, wrong(t)).begin()
		j.send(j.sign(hmacauth.EndpointJoin, intent("micro02")))
	}
	s.has(events.LoginFailMax, "source", "127.0.0.1", "reason", "maxretries")
	lock := s.has(events.LoginLock, "source", "127.0.0.1")
	until, err := time.Parse(time.RFC3339Nano, lock["until"].(string))
	require.NoError(t, err)
	require.WithinRange(t, until, time.Now().Add(50*time.Minute), time.Now().Add(70*time.Minute))
	return s
}

func sceneInvitations(t *testing.T) *stage {
	s := onStage(t, generous())
	inv := s.invite("micro02")
	s.secrets = append(s.secrets, inv.Reveal(), inv.Reveal()[40:60])
	s.has(events.TokenCreated, "id", inv.ID.String(), "subject", "micro02")
	require.NoError(t, s.svc.RevokeInvitation(t.Context(), inv.ID))
	s.has(events.TokenRevoked, "id", inv.ID.String())
	thief := newMachine(t, "micro02")
	_, err := thief.accept(inv)
	require.ErrorIs(t, err, session.ErrInvitationRevoked)
	s.has(events.TokenReuse, "id", inv.ID.String(), "fingerprint", thief.store.Identity().Fingerprint().String(), "reason", "invitation-revoked")
	require.Empty(t, s.log.events(t, "authn_login_success"), "an invitation that is over lets nobody in")
	return s
}

func sceneLifecycle(t *testing.T) *stage {
	s := &stage{log: new(securityLog), registry: metrics.NewRegistry()}
	cfg := generous()
	cfg.Logger = s.log.logger()
	s.machine = newMachine(t, "micro01").serve(cfg)
	s.secrets = privateKeys(t, s.machine)
	s.run()
	s.has(events.Startup)
	require.NoError(t, s.store.Bootstrap(t.Context(), s.addr))
	s.has(events.Admin, "action", "cluster_bootstrap", "subject", "micro01")
	s.svc.Events().Switch(false)
	s.has(events.MonitorDisabled)
	open := s.open(session.Config{})
	open.Close(nil)
	s.svc.Events().Switch(true)
	s.has(events.MonitorEnabled)
	require.Empty(t, s.log.events(t, "session_created"))
	s.stop()
	s.has(events.Shutdown)
	return s
}

func sceneRefused(t *testing.T) *stage {
	s := onStage(t, generous())
	open := s.openAsking(session.Config{Services: map[string]string{"lxd": "6"}})
	second := newMachine(t, "micro02")
	cfg := second.joinConfig(open, s.machine)
	cfg.Services = map[string]string{"lxd": "5"}
	_, err := trust.Join(t.Context(), s.addr, cfg)
	require.ErrorIs(t, err, session.ErrServiceMismatch)
	s.has(events.AuthzFail, "subject", "micro02", "reason", session.CodeOf(session.ErrServiceMismatch), "source", "127.0.0.1")
	require.EqualValues(t, 1, s.registry.Counter(metrics.Joins, "refused"))

	third := newMachine(t, "micro03")
	cfg = third.joinConfig(open, s.machine)
	cfg.Services = map[string]string{"lxd": "6"}
	failed := make(chan error, 1)
	go func() {
		_, err := trust.Join(context.Background(), s.addr, cfg)
		failed <- err
	}()
	require.NoError(t, open.Deny(offered(t, open).ID, "not today"))
	require.ErrorIs(t, <-failed, session.ErrDenied)
	s.has(events.AuthzFail, "subject", "micro03", "reason", "denied")
	require.EqualValues(t, 1, s.registry.Counter(metrics.Joins, "denied"))
	return s
}

func sceneLimits(t *testing.T) *stage {
	cfg := generous()
	cfg.Admission.Source = ratelimit.Rate{Events: 1, Per: time.Hour, Burst: 1}
	s := onStage(t, cfg)
	s.open(session.Config{})
	j := raw(t, newMachine(t, "micro02"), s.machine, wrong(t)).begin()
	require.Equal(t, http.StatusTooManyRequests, j.send(j.helloMessage("")).status)
	s.has(events.RateLimitExceeded, "source", "127.0.0.1", "rule", "limits", "reason", "source")
	require.EqualValues(t, 1, s.registry.Counter(metrics.Refusals, "limits"))
	return s
}

func sceneOddMessages(t *testing.T) *stage {
	cfg := generous()
	cfg.Limits.PollTime = time.Millisecond
	s := onStage(t, cfg)
	open := s.openAsking(session.Config{})
	s.secrets = append(s.secrets, open.Passphrase().Reveal())
	fresh := func() *rawJoiner { return raw(t, newMachine(t, "micro02"), s.machine, open.Passphrase()) }
	j := fresh()
	j.refused(message{endpoint: "elsewhere"})
	s.has(events.InputValidationFail, "rule", "endpoint")
	s.svc.Events().Flush()
	j.refused(message{endpoint: hmacauth.EndpointHello, body: []byte("{")})
	s.svc.Events().Flush()
	s.has(events.InputValidationFail, "source", "127.0.0.1", "rule", "hello")

	j = fresh()
	proof, _ := j.prove("micro02")
	j.refused(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}).edit("mac", strings.Repeat("0", 64)), "another MAC")
	s.has(events.DirectReference, "rule", "mac", "fingerprint", j.id.Fingerprint().String())
	j.sequence = 1
	require.Equal(t, "pending", j.call(j.sign(hmacauth.EndpointResult, map[string]any{"page": 0}))["state"])
	j.refused(proof, "an earlier message again")
	s.has(events.TokenReuse, "rule", "turn")

	j = fresh().begin()
	j.public.ID[0] ^= 1
	j.refused(j.sign(hmacauth.EndpointJoin, intent("micro02")))
	s.has(events.SessionUseAfterExpire, "rule", "handshake")
	return s
}

// sceneStrangers: TLS lets nobody in who has no business there.
func sceneStrangers(t *testing.T) *stage {
	s := onStage(t, generous())
	id := newMachine(t, "stranger").store.Identity()
	conn, err := tls.Dial("tcp", s.addr, strangerTLS(id, "h2"))
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	require.Error(t, err)
	s.has(events.LoginFail, "source", "127.0.0.1", "fingerprint", id.Fingerprint().String(), "reason", "unknown")
	return s
}

func sceneMembers(t *testing.T) *stage {
	s := onStage(t, generous())
	s.run()
	second := newMachine(t, "micro02").serve(generous())
	open := s.open(session.Config{})
	_, err := trust.Join(t.Context(), s.addr, second.joinConfig(open, s.machine))
	require.NoError(t, err)
	status, _ := second.post("micro01", "{")
	require.Equal(t, http.StatusBadRequest, status)
	second.post("micro01", "{")
	s.has(events.LoginSuccess, "subject", "micro02", "msg", "member authenticated for the first time since the start")
	s.has(events.InputValidationFail, "rule", "exchange", "subject", "micro02")
	again := 0
	for _, record := range s.log.events(t, "authn_login_success") {
		if record["msg"] == "member authenticated for the first time since the start" {
			again++
		}
	}
	require.Equal(t, 1, again)
	_, err = s.store.Remove(t.Context(), certstore.RemoveRequest{Key: second.store.Identity().KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)
	s.has(events.Admin, "action", "cluster_remove", "subject", "micro02", "by", "micro01")
	require.Len(t, s.log.withAction(t, "cluster_join"), 1, "what this machine did itself is told once")

	s.stop() // who comes and goes between two looks is told as well
	third := newMachine(t, "micro03")
	_, err = trust.Join(t.Context(), s.addr, third.joinConfig(open, s.machine))
	require.NoError(t, err)
	_, err = s.store.Remove(t.Context(), certstore.RemoveRequest{Key: third.store.Identity().KeyID(), Keep: certstore.KeepNone})
	require.NoError(t, err)
	s.run()
	s.has(events.Admin, "action", "cluster_remove", "subject", "micro03", "by", "micro01", "fingerprint", third.store.Identity().Fingerprint().String())
	return s
}

func (l *securityLog) withAction(t *testing.T, action string) (found []map[string]any) {
	for _, record := range l.all(t) {
		if record["action"] == action {
			found = append(found, record)
		}
	}
	return found
}

func sceneRotation(t *testing.T) *stage {
	cfg := generous()
	cfg.Drain = time.Millisecond
	s := onStage(t, cfg)
	inv := s.invite("micro02")
	before := s.store.Identity().Fingerprint().String()
	require.NoError(t, s.svc.Rotate(t.Context()))
	got := s.has(events.PasswordChanged, "subject", "micro01")
	require.NotEqual(t, before, got["fingerprint"])
	s.has(events.TokenDelete, "id", inv.ID.String())
	s.secrets = append(s.secrets, privateKeys(t, s.machine)...)
	return s
}

func sceneLeaving(t *testing.T) *stage {
	s := onStage(t, generous())
	s.run()
	gone := &stage{log: new(securityLog)}
	cfg := generous()
	cfg.Logger = gone.log.logger()
	gone.machine = newMachine(t, "micro02").serve(cfg)
	_, err := trust.Join(t.Context(), s.addr, gone.joinConfig(s.open(session.Config{}), s.machine))
	require.NoError(t, err)
	s.has(events.Admin, "action", "cluster_join", "subject", "micro02")
	gone.run()
	s.secrets = append(s.secrets, privateKeys(t, gone.machine)...)
	require.NoError(t, gone.svc.Leave(t.Context()), "%v", lazily(gone.log))
	gone.has(events.Admin, "action", "cluster_leave", "subject", "micro02")
	s.has(events.Admin, "action", "cluster_leave", "subject", "micro02")
	gone.stop()
	require.Len(t, gone.log.withAction(t, "cluster_leave"), 1)
	require.Empty(t, gone.log.withAction(t, "cluster_remove"))
	return s
}

func sceneOlderFormat(t *testing.T) *stage {
	s := onStage(t, older())
	open := s.openAsking(session.Config{})
	openOlder(t, s.machine, open)
	s.secrets = append(s.secrets, olderPhrase)
	s.has(events.Admin, "action", "policy_change", "protocol", "MicroCloud-1.0")
	liar := newOlderJoiner(t, "micro02")
	liar.key = keyOf("another passphrase")
	require.Equal(t, http.StatusForbidden, liar.join(s.machine).status)
	s.has(events.LoginFail, "protocol", "MicroCloud-1.0", "source", "127.0.0.1")
	require.Equal(t, http.StatusOK, newOlderJoiner(t, "micro03").join(s.machine).status)
	s.has(events.LoginSuccessAfterFail, "protocol", "MicroCloud-1.0", "subject", "micro03")
	require.EqualValues(t, 1, s.registry.Counter(metrics.Derivations, "right"))
	require.EqualValues(t, 1, s.registry.Counter(metrics.Derivations, "wrong"))
	return s
}
