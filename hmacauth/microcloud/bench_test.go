package microcloud_test

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// A whole verification beside the bare derivation that it contains, in turns so that both meet the same machine.
func BenchmarkVerify(b *testing.B) {
	d, p, h, body := newDeriver(b, microcloud.DeriverConfig{}), passphrase(b, phrase), parse(b, authorization), []byte(signed)
	var ours, bare time.Duration
	for b.Loop() {
		start := time.Now()
		if err := d.Verify(b.Context(), p, h, body); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		start = time.Now()
		argon2.IDKey([]byte(phrase), make([]byte, microcloud.SaltSize), 3, 64<<10, 4, 32)
		bare += time.Since(start)
	}
	n := float64(b.N)
	b.ReportMetric(0, "ns/op") // it would be the sum of both
	b.ReportMetric(ours.Seconds()*1e3/n, "ms/verify")
	b.ReportMetric(bare.Seconds()*1e3/n, "ms/argon2id")
	b.ReportMetric(float64(ours)/float64(bare), "verify/argon2id")
}

// What a header costs that is refused without a derivation.
func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := microcloud.Parse(authorization); err != nil {
			b.Fatal(err)
		}
	}
}

// One more body under a key that was derived before.
func BenchmarkSign(b *testing.B) {
	key, err := newDeriver(b, microcloud.DeriverConfig{}).NewKey(b.Context(), passphrase(b, phrase))
	require.NoError(b, err)
	body := make([]byte, 1024)
	for b.Loop() {
		key.Sign(body)
	}
}

// Eight requests at once: the most memory that the process holds meanwhile, with various limits and without one.
func BenchmarkFlood(b *testing.B) {
	const callers = 8
	run := func(b *testing.B, one func()) {
		debug.FreeOSMemory()
		peak := watchMemory()
		for b.Loop() {
			var all sync.WaitGroup
			for range callers {
				all.Go(one)
			}
			all.Wait()
		}
		b.ReportMetric(float64(peak())/(1<<20), "peak-MiB")
	}
	for _, parallel := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(parallel, " at once"), func(b *testing.B) {
			d := newDeriver(b, microcloud.DeriverConfig{Parallel: parallel})
			p, h := passphrase(b, phrase), parse(b, authorization)
			run(b, func() { _ = d.Verify(b.Context(), p, h, []byte(signed)) })
		})
	}
	b.Run("bare Argon2id", func(b *testing.B) {
		run(b, func() { argon2.IDKey([]byte(phrase), make([]byte, microcloud.SaltSize), 3, 64<<10, 4, 32) })
	})
}

// watchMemory looks at the memory that the process has from the operating system, every millisecond until the returned function is
// called, and then once more. That one says how much it was at most.
func watchMemory() func() uint64 {
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for peak, watching := uint64(0), true; ; {
			select {
			case <-done:
				watching = false
			case <-tick.C:
			}
			metrics.Read(samples)
			peak = max(peak, samples[0].Value.Uint64()-samples[1].Value.Uint64())
			if !watching {
				most <- peak
				return
			}
		}
	}()
	return func() uint64 { close(done); return <-most }
}
