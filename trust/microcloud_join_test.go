package trust_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestMicroCloudConfirmationsAreRefused: of all that comes to the listener of a joiner that waits, one confirmation counts.
func TestMicroCloudConfirmationsAreRefused(t *testing.T) {
	f := newFieldInitiator(t, nil)
	m := joiningMachine(t, "micro02")
	j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Found: true})
	theirs := f.registered()
	require.Equal(t, m.store.Identity().Fingerprint(), certstore.FingerprintOf(theirs.Certificate))
	other, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)

	reject := func(reason, passphrase string, status int, text string, edit func(*microcloudwire.Intent)) {
		t.Helper()
		in := f.own()
		edit(&in)
		gotStatus, gotText := f.confirm(m.addr, passphrase, in)
		require.Equal(t, status, gotStatus, reason)
		require.Contains(t, gotText, text, reason)
	}
	reject("wrong passphrase", "koala amulet bronze violins", 403, "Invalid HMAC", func(*microcloudwire.Intent) {})
	reject("the joiner's own intent", fieldPassphrase, 400, "this machine's own", func(in *microcloudwire.Intent) { *in = theirs })
	reject("another certificate", fieldPassphrase, 400, "certificate", func(in *microcloudwire.Intent) { in.Certificate = other.Certificate() })
	reject("the joiner's name", fieldPassphrase, 400, "name", func(in *microcloudwire.Intent) { in.Name = "micro02" })
	body, err := microcloudwire.EncodeIntent(f.own())
	require.NoError(t, err)
	for reason, wrong := range map[string]string{
		"a field missing": strings.Replace(string(body), `"address"`, `"adress"`, 1),
	} {
		require.NotEqual(t, string(body), wrong)
		status, _ := f.send(nil, http.MethodPost, m.addr+microcloudwire.JoinPath, f.sign(fieldPassphrase, []byte(wrong)), []byte(wrong))
		require.Equal(t, 400, status, reason)
	}
	for _, request := range []string{"GET /core/1.0", "GET /", "GET /1.0/session/join", "POST /1.0/session/join/", "POST /trust/exchange", "OPTIONS /"} {
		method, path, _ := strings.Cut(request, " ")
		status, _ := f.send(nil, method, m.addr+path, "", nil)
		require.GreaterOrEqual(t, status, 400, request)
	}
	require.Empty(t, j.result)

	reject("right", fieldPassphrase, 200, "", func(*microcloudwire.Intent) {})
	res, err := j.end()
	require.NoError(t, err)
	require.Equal(t, f.id.Fingerprint(), res.Initiator.Fingerprint)
	status, _ := f.confirm(m.addr, fieldPassphrase, f.own())
	require.Zero(t, status, "nobody gets in any more")
}

// TestMicroCloudFieldInitiator: an initiator that has no member set. With Found this machine begins a cluster that knows it.
func TestMicroCloudFieldInitiator(t *testing.T) {
	f := newFieldInitiator(t, nil)
	f.careful = true
	m := joiningMachine(t, "micro02")
	j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Services: map[string]string{"LXD": "5"}})
	require.Equal(t, map[string]string{"LXD": "5"}, f.registered().Services)
	status, text := f.confirm(m.addr, fieldPassphrase, f.own())
	require.Equal(t, 200, status, text)
	_, err := j.end()
	require.ErrorIs(t, err, trust.ErrNoMemberSet)
	_, in := m.store.Cluster()
	require.False(t, in, "nothing was stored")
	require.NotEmpty(t, f.takeStop().reason)

	f.careful = false
	for range 2 { // the second time as after a crash
		j = startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Found: true, Fingerprint: f.id.Fingerprint()})
		f.registered()
		status, text = f.confirm(m.addr, fieldPassphrase, f.own())
		require.Equal(t, 200, status, text)
		res, err := j.end()
		require.NoError(t, err)
		require.Equal(t, "micro01", res.Initiator.Name)
		require.Equal(t, 2, res.Members.Len())
		first, ok := res.Members.ByCertificate(f.id.Certificate().Raw)
		require.True(t, ok)
		require.Zero(t, first.Rights, "it has none in a cluster that it does not know of")
		require.Empty(t, f.stops)
	}
	client := &http.Client{Transport: m.store.Transport("micro01")}
	defer client.CloseIdleConnections()
	resp, err := client.Get(f.URL + "/core/1.0")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode, "the store's transport reaches it")

	stranger := newFieldInitiator(t, nil)
	j = startMicroCloudJoin(t, m, stranger.addr(), trust.MicroCloudJoinConfig{Found: true})
	stranger.registered()
	stranger.confirm(m.addr, fieldPassphrase, stranger.own())
	_, err = j.end()
	require.ErrorIs(t, err, certstore.ErrOtherCluster, "it has a cluster, which is another one")
	require.Equal(t, 2, m.store.Snapshot().Len())
}

func (f *fieldInitiator) takeStop() stopped {
	f.t.Helper()
	select {
	case s := <-f.stops:
		return s
	case <-time.After(time.Minute):
		require.Fail(f.t, "no stop came")
		return stopped{}
	}
}

// TestMicroCloudLostReply: the initiator has the intent although its reply was lost, and says so to the next attempt.
func TestMicroCloudLostReply(t *testing.T) {
	var tries atomic.Int32
	f := newFieldInitiator(t, nil)
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != microcloudwire.JoinPath {
			return false
		}
		if tries.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		refuseIntent(w, 400, microcloudwire.TextDuplicate)
		f.intents <- microcloudwire.Intent{}
		return true
	}
	m := joiningMachine(t, "micro02")
	j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Found: true})
	f.registered()
	status, text := f.confirm(m.addr, fieldPassphrase, f.own())
	require.Equal(t, 200, status, text)
	_, err := j.end()
	require.NoError(t, err)
	require.Equal(t, int32(2), tries.Load())
}

// TestMicroCloudBusyInitiator: one that asks to wait is waited for.
func TestMicroCloudBusyInitiator(t *testing.T) {
	var tries atomic.Int32
	f := newFieldInitiator(t, func(w http.ResponseWriter, r *http.Request) bool {
		if tries.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			refuseIntent(w, http.StatusTooManyRequests, "Too many requests")
			return true
		}
		return false
	})
	startMicroCloudJoin(t, joiningMachine(t, "micro02"), f.addr(), trust.MicroCloudJoinConfig{})
	f.registered()
}

// TestMicroCloudJoinerFirst: with Wait, the initiator may come later, and so may its session.
func TestMicroCloudJoinerFirst(t *testing.T) {
	var open atomic.Bool
	f := newFieldInitiator(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !open.Load() {
			refuseIntent(w, 400, microcloudwire.TextNoSession)
		}
		return !open.Load()
	})
	m := joiningMachine(t, "micro02")
	j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Wait: time.Minute})
	for p := range j.stages {
		if p.Retry != nil {
			require.ErrorIs(t, p.Retry, trust.ErrNoSession)
			break
		}
	}
	turn, err := m.svc.Deriver().Wait(t.Context()) // there is one at a time
	require.NoError(t, err)
	status, text := f.confirm(m.addr, "a guess", f.own())
	require.Equal(t, 400, status)
	require.Equal(t, microcloudwire.TextNoSession, text, "nobody can confirm what nobody has, so nothing is derived")
	turn.Done()
	open.Store(true)
	f.registered()
}

// TestMicroCloudStop: the initiator ends the wait, and nobody else does.
func TestMicroCloudStop(t *testing.T) {
	f := newFieldInitiator(t, nil)
	m := joiningMachine(t, "micro02")
	asked := make(chan struct{})
	told := make(chan error, 1)
	j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Verify: func(ctx context.Context, other trust.Initiator) error {
		close(asked)
		<-ctx.Done()
		told <- context.Cause(ctx)
		return context.Cause(ctx)
	}})
	f.registered()
	stranger, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: "micro01", Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	for reason, id := range map[string]*certstore.Identity{"nobody": nil, "a stranger": stranger} {
		status, _ := f.stop(m.addr, id, "over")
		require.Equal(t, 403, status, reason)
	}
	f.confirm(m.addr, fieldPassphrase, f.own())
	<-asked
	status, text := f.stop(m.addr, f.id, "closing\ntime")
	require.Equal(t, 200, status, text)
	_, err = j.end()
	var stopped *session.StoppedError
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, "closing\uFFFDtime", stopped.Reason)
	require.ErrorIs(t, <-told, session.ErrStopped, "the person need not compare any longer")
	require.Empty(t, f.stops, "it knows")
	require.Zero(t, m.store.Snapshot().Len())
}

// TestMicroCloudJoinerLeaves: whatever ends the join here, the initiator hears it from the holder of the joiner's key.
func TestMicroCloudJoinerLeaves(t *testing.T) {
	home := errors.New("the operator went home")
	no := errors.New("it is another one")
	for reason, row := range map[string]struct {
		verify func(context.Context, trust.Initiator) error
		before bool // it leaves before it is confirmed
		want   error
		text   string
	}{
		"interrupted while it waits": {nil, true, home, "interrupted"},
		"not confirmed":              {func(context.Context, trust.Initiator) error { return no }, false, no, "not confirmed"},
	} {
		t.Run(reason, func(t *testing.T) {
			f := newFieldInitiator(t, nil)
			m := joiningMachine(t, "micro02")
			asked := make(chan trust.Initiator, 1)
			cfg := trust.MicroCloudJoinConfig{Found: true}
			if row.verify != nil {
				cfg.Verify = func(ctx context.Context, other trust.Initiator) error { asked <- other; return row.verify(ctx, other) }
			}
			j := startMicroCloudJoin(t, m, f.addr(), cfg)
			f.registered()
			require.Empty(t, asked, "nothing is shown of whom nobody has authenticated")
			if !row.before {
				status, text := f.confirm(m.addr, fieldPassphrase, f.own())
				require.Equal(t, 200, status, text)
				other := <-asked
				require.Equal(t, trust.Initiator{Name: "micro01", Fingerprint: f.id.Fingerprint(), Address: f.addr()}, other)
			}
			if row.want == home {
				j.cancel(home)
			}
			_, err := j.end()
			require.ErrorIs(t, err, row.want)
			got := f.takeStop()
			require.Contains(t, got.reason, row.text)
			require.Equal(t, m.store.Identity().Fingerprint(), got.by)
			require.Zero(t, m.store.Snapshot().Len())
		})
	}
}

// TestMicroCloudSetThatCannotBeHad: no trouble on the way to the member set is taken for its absence.
func TestMicroCloudSetThatCannotBeHad(t *testing.T) {
	for reason, answer := range map[string]func(http.ResponseWriter){
		"busy": func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
	} {
		t.Run(reason, func(t *testing.T) {
			asked := make(chan struct{}, 64)
			f := newFieldInitiator(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/trust/exchange" {
					return false
				}
				asked <- struct{}{}
				answer(w)
				return true
			})
			m := joiningMachine(t, "micro02")
			j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Found: true})
			f.registered()
			f.confirm(m.addr, fieldPassphrase, f.own())
			<-asked
			<-asked // tried again
			j.cancel(nil)
			_, err := j.end()
			require.ErrorIs(t, err, context.Canceled)
			_, in := m.store.Cluster()
			require.False(t, in)
		})
	}
	for reason, row := range map[string]struct {
		answer string
		status int
		want   error
	}{
		"empty": {`{"digest":"` + strings.Repeat("00", 32) + `"}`, 200, trust.ErrMemberSet},
	} {
		t.Run(reason, func(t *testing.T) {
			f := newFieldInitiator(t, func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/trust/exchange" {
					return false
				}
				w.WriteHeader(row.status)
				w.Write([]byte(row.answer))
				return true
			})
			m := joiningMachine(t, "micro02")
			j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Found: true})
			f.registered()
			f.confirm(m.addr, fieldPassphrase, f.own())
			_, err := j.end()
			require.ErrorIs(t, err, row.want)
			require.NotEmpty(t, f.takeStop().reason)
			require.Zero(t, m.store.Snapshot().Len())
		})
	}
}

// TestMicroCloudSetOfAnother: the initiator has to be a member in the set that it delivers, under the name that it gave, and this
// machine too.
func TestMicroCloudSetOfAnother(t *testing.T) {
	for reason, name := range map[string]string{"this machine is not in it": "micro01", "the initiator has another name": "micro07"} {
		t.Run(reason, func(t *testing.T) {
			f := newFieldInitiator(t, nil)
			store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), f.id)
			require.NoError(t, err)
			defer store.Close()
			require.NoError(t, store.Bootstrap(t.Context(), f.addr()))
			m := joiningMachine(t, "micro02")
			if name != "micro01" {
				_, err := store.Admit(t.Context(), certstore.AdmitRequest{Certificate: m.store.Identity().Certificate(), Name: "micro02"})
				require.NoError(t, err)
			}
			var statements [][]byte
			for _, st := range store.Statements() {
				encoded, err := st.MarshalBinary()
				require.NoError(t, err)
				statements = append(statements, encoded)
			}
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/trust/exchange" {
					return false
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"digest": store.Snapshot().Digest().String(), "statements": statements})
				return true
			}
			j := startMicroCloudJoin(t, m, f.addr(), trust.MicroCloudJoinConfig{Found: true})
			f.registered()
			in := f.own()
			in.Name = name
			status, text := f.confirm(m.addr, fieldPassphrase, in)
			require.Equal(t, 200, status, text)
			_, err = j.end()
			require.ErrorIs(t, err, trust.ErrMemberSet)
			require.Contains(t, f.takeStop().reason, "member set")
			require.Zero(t, m.store.Snapshot().Len())
		})
	}
}
