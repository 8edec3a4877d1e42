package microcloud_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// gauge counts derivations: how many there were, are, and were at once.
type gauge struct{ total, now, most atomic.Int64 }

// around counts calls of what really derives. Each of them waits for hold, if there is one, before it returns.
func (g *gauge) around(hold <-chan struct{}) func(microcloud.Argon2id) microcloud.Argon2id {
	return func(real microcloud.Argon2id) microcloud.Argon2id {
		return func(passphrase, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
			g.total.Add(1)
			now := g.now.Add(1)
			defer g.now.Add(-1)
			for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
			}
			if hold != nil {
				<-hold
			}
			return real(passphrase, salt, time, memory, threads, size)
		}
	}
}

// weak replaces Argon2id by parameters that take no time, where a test is about the order of things alone.
func weak(real microcloud.Argon2id) microcloud.Argon2id {
	return func(passphrase, salt []byte, _, _ uint32, _ uint8, size uint32) []byte {
		return real(passphrase, salt, 1, 8, 1, size)
	}
}

func TestNewDeriverRefuses(t *testing.T) {
	for _, tt := range []struct {
		cfg     microcloud.DeriverConfig
		setting string
	}{
		{microcloud.DeriverConfig{Parallel: -1}, "Parallel"},
		{microcloud.DeriverConfig{Parallel: microcloud.MaxParallel + 1}, "Parallel"},
		{microcloud.DeriverConfig{Waiting: -1}, "Waiting"},
		{microcloud.DeriverConfig{Waiting: microcloud.MaxWaiting + 1}, "Waiting"},
	} {
		d, err := microcloud.NewDeriver(tt.cfg)
		require.Nil(t, d)
		requireSetting(t, err, tt.setting)
	}
	newDeriver(t, microcloud.DeriverConfig{Parallel: microcloud.MaxParallel, Waiting: microcloud.MaxWaiting})
}

// What is refused for its form costs no derivation.
func TestRefusedWithoutDeriving(t *testing.T) {
	var g gauge
	d := newDeriver(t, microcloud.DeriverConfig{})
	d.Around(g.around(nil))
	p, h := passphrase(t, phrase), parse(t, authorization)
	raw, err := microcloud.ParseRaw("v", "v "+macDigits)
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	for range 20 { // a context that has ended wins whenever there is a free place
		require.ErrorIs(t, d.Verify(ended, p, h, []byte(signed)), context.Canceled)
	}
	require.ErrorIs(t, d.Verify(late, p, h, []byte(signed)), context.DeadlineExceeded)
	require.ErrorIs(t, d.Verify(t.Context(), microcloud.Passphrase{}, h, []byte(signed)), microcloud.ErrPassphrase)
	require.ErrorIs(t, d.Verify(t.Context(), p, raw, []byte(signed)), microcloud.ErrHeader)
	require.ErrorIs(t, d.Verify(t.Context(), p, microcloud.Header{}, []byte(signed)), microcloud.ErrHeader)
	require.ErrorIs(t, new(microcloud.Deriver).Verify(t.Context(), p, h, []byte(signed)), microcloud.ErrBusy)
	require.True(t, new(microcloud.Deriver).Busy())
	_, err = new(microcloud.Deriver).NewKey(t.Context(), p)
	require.ErrorIs(t, err, microcloud.ErrBusy)
	_, err = d.NewKey(t.Context(), microcloud.Passphrase{})
	require.ErrorIs(t, err, microcloud.ErrPassphrase)
	_, err = d.NewKey(ended, p)
	require.ErrorIs(t, err, context.Canceled)
	_, err = newDeriver(t, microcloud.DeriverConfig{Random: iotest.ErrReader(iotest.ErrTimeout)}).NewKey(t.Context(), p)
	require.ErrorIs(t, err, microcloud.ErrRandom)
	require.Zero(t, g.total.Load())

	_, err = microcloud.NewPassphrase("")
	require.ErrorIs(t, err, microcloud.ErrPassphrase)
	require.True(t, microcloud.Passphrase{}.IsZero())
	require.False(t, p.IsZero())
}

// One derivation for all bodies of a sender, and one for each request that is verified; upper case costs nothing more.
func TestDerivations(t *testing.T) {
	var g gauge
	salt, err := hex.DecodeString(saltDigits)
	require.NoError(t, err)
	d := newDeriver(t, microcloud.DeriverConfig{Random: bytes.NewReader(salt)})
	d.Around(g.around(nil))
	p := passphrase(t, phrase)
	key, err := d.NewKey(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, authorization, key.Sign([]byte(signed)))
	second := parse(t, key.Sign([]byte("another body")))
	require.NoError(t, key.Verify(second, []byte("another body")))
	require.EqualValues(t, 1, g.total.Load())

	upper := parse(t, "MicroCloud-1.0 "+strings.ToUpper(saltDigits+":"+macDigits))
	require.NoError(t, d.Verify(t.Context(), p, upper, []byte(signed)))
	require.EqualValues(t, 2, g.total.Load())
	require.Equal(t, microcloud.ErrMAC, d.Verify(t.Context(), p, upper, []byte(signed+"\n")))
	require.EqualValues(t, 3, g.total.Load())
	otherSalt := parse(t, "MicroCloud-1.0 00:"+macDigits)
	require.Equal(t, microcloud.ErrMAC, key.Verify(otherSalt, []byte(signed)))
}

// Salts are as large as they should be and never the same.
func TestSaltsAreDrawn(t *testing.T) {
	d := newDeriver(t, microcloud.DeriverConfig{})
	d.Around(weak)
	seen := map[string]bool{}
	for range 100 {
		key, err := d.NewKey(t.Context(), passphrase(t, phrase))
		require.NoError(t, err)
		salt, _, found := strings.Cut(strings.TrimPrefix(key.Sign(nil), "MicroCloud-1.0 "), ":")
		require.True(t, found)
		require.Len(t, salt, 2*microcloud.SaltSize)
		seen[salt] = true
	}
	require.Len(t, seen, 100)
}

// Real derivations, of many callers at once: as many run together as may, never more, and each caller has its result.
func TestAsManyAtOnceAsMay(t *testing.T) {
	const callers = 5
	for _, parallel := range []int{0, 3} { // zero is the default
		var g gauge
		d := newDeriver(t, microcloud.DeriverConfig{Parallel: parallel})
		if parallel == 0 {
			parallel = microcloud.DefaultParallel
		}
		hold := make(chan struct{})
		d.Around(g.around(hold))
		p, h := passphrase(t, phrase), parse(t, authorization)
		results := make(chan error, callers)
		for range callers {
			go func() { results <- d.Verify(t.Context(), p, h, []byte(signed)) }()
		}
		require.Eventually(t, func() bool { return g.now.Load() >= int64(parallel) }, time.Minute, time.Millisecond)
		close(hold)
		for range callers {
			require.NoError(t, <-results)
		}
		require.EqualValues(t, parallel, g.most.Load())
		require.EqualValues(t, callers, g.total.Load())
	}
}

// Who waits is served in turn, may give up, and is refused at once when too many wait.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gauge
		d := newDeriver(t, microcloud.DeriverConfig{Parallel: 1, Waiting: 2})
		hold := make(chan struct{})
		d.Around(weak)
		d.Around(g.around(hold))
		p := passphrase(t, phrase)
		order := make(chan string, 6)
		start := func(ctx context.Context, name string) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := d.NewKey(ctx, p)
				order <- name
				done <- err
			}()
			synctest.Wait() // it derives, waits, or has been refused
			return done
		}
		first := start(t.Context(), "first")
		limited, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		second := start(limited, "second")
		require.False(t, d.Busy())
		third := start(t.Context(), "third")
		require.True(t, d.Busy())
		require.ErrorIs(t, <-start(t.Context(), "too many"), microcloud.ErrBusy)
		require.EqualValues(t, 1, g.total.Load())

		begun := time.Now()
		require.ErrorIs(t, <-second, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(begun))
		fourth := start(t.Context(), "fourth")
		require.ErrorIs(t, <-start(t.Context(), "too many"), microcloud.ErrBusy)

		for _, done := range []<-chan error{first, third, fourth} {
			hold <- struct{}{}
			require.NoError(t, <-done)
		}
		for _, name := range []string{"too many", "second", "too many", "first", "third", "fourth"} {
			require.Equal(t, name, <-order)
		}
		require.EqualValues(t, 1, g.most.Load())
		require.EqualValues(t, 3, g.total.Load(), "who gave up or was refused cost nothing")
	})
}

// A derivation that panics gives its place back.
func TestAPanicKeepsNoPlace(t *testing.T) {
	d := newDeriver(t, microcloud.DeriverConfig{Parallel: 1, Waiting: 1})
	broken := true
	d.Around(func(real microcloud.Argon2id) microcloud.Argon2id {
		return func(passphrase, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
			if broken {
				panic("broken")
			}
			return weak(real)(passphrase, salt, time, memory, threads, size)
		}
	})
	p := passphrase(t, phrase)
	for range 5 {
		require.Panics(t, func() { _, _ = d.NewKey(t.Context(), p) })
	}
	broken = false
	_, err := d.NewKey(t.Context(), p)
	require.NoError(t, err)
}

// A turn is one derivation: a caller that is let in once does not derive twice, nor after it has given its place back.
func TestTurnIsUsedOnce(t *testing.T) {
	d := newDeriver(t, microcloud.DeriverConfig{Parallel: 1})
	d.Around(weak)
	p, h := passphrase(t, phrase), parse(t, authorization)
	turn, err := d.Wait(t.Context())
	require.NoError(t, err)
	_, err = turn.NewKey(p)
	require.NoError(t, err)
	_, err = turn.NewKey(p)
	require.ErrorIs(t, err, microcloud.ErrBusy, "used")
	require.ErrorIs(t, turn.Verify(p, h, []byte(signed)), microcloud.ErrBusy, "used")
	turn.Done()
	turn.Done()

	unused, err := d.Wait(t.Context())
	require.NoError(t, err)
	require.NotPanics(t, turn.Done, "the place is another's by now")
	unused.Done()
	_, err = unused.NewKey(p)
	require.ErrorIs(t, err, microcloud.ErrBusy, "ended")
}
