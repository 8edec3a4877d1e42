//go:build unix

package trust_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"
)

// The initiator's share of a join is measured by processor time, with the joiners in a process of their own. The other
// side of each comparison is measured in the same run: the bare mutual TLS handshakes that a join contains (one), and two
// Argon2id derivations with the customary parameters.
func BenchmarkInitiatorCPU(b *testing.B) {
	const batch = 10 // joiners of one cluster: the set that each one gets stays small, as the handshakes' side has none
	var joins, handshakes, derivations time.Duration
	for b.Loop() {
		first := benchFounder(b)
		s, err := first.svc.Open(b.Context(), session.Config{Policy: acceptAll})
		require.NoError(b, err)
		bare := bareServer(b, first)
		joins += cpuOf(func() {
			child(b, "join", first.addr, batch, s.Passphrase().Reveal(), first.store.Identity().Fingerprint().String())
		}) / batch
		handshakes += cpuOf(func() { child(b, "handshake", bare, batch) }) / batch
		derivations += 2 * cpuOf(func() { argon2.IDKey([]byte("four words of passphrase"), make([]byte, 16), 3, 64<<10, 4, 32) })
		s.Close(nil)
	}
	n := float64(b.N)
	b.ReportMetric(float64(joins.Microseconds())/n, "µs-cpu/join")
	b.ReportMetric(float64(handshakes.Microseconds())/n, "µs-cpu/handshake")
	b.ReportMetric(float64(derivations.Microseconds())/n, "µs-cpu/2argon2id")
	b.ReportMetric(float64(joins)/float64(handshakes), "join/handshake")
	b.ReportMetric(float64(derivations)/float64(joins), "2argon2id/join")
}

// BenchmarkJoin is one complete join over loopback, both sides and their disks in one process.
func BenchmarkJoin(b *testing.B) {
	dir := b.TempDir()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		first := benchFounder(b) // of a cluster of its own, so that the set that is delivered does not grow
		s, err := first.svc.Open(b.Context(), session.Config{Policy: acceptAll})
		require.NoError(b, err)
		store := benchStore(b, filepath.Join(dir, strconv.Itoa(i)), fmt.Sprintf("joiner%d", i))
		b.StartTimer()
		_, err = trust.Join(b.Context(), first.addr, trust.JoinConfig{
			Store: store, Passphrase: s.Passphrase(), Fingerprint: first.store.Identity().Fingerprint(),
		})
		b.StopTimer()
		require.NoError(b, err)
		s.Close(nil)
		store.Close()
		b.StartTimer()
	}
}

// BenchmarkHandshake is the mutual TLS handshake that a join contains, both sides in one process.
func BenchmarkHandshake(b *testing.B) {
	first := benchFounder(b)
	address := bareServer(b, first)
	id := benchIdentity(b, "joiner")
	for b.Loop() {
		require.NoError(b, bareHandshake(address, id))
	}
}

// BenchmarkTwoArgon2id is what the customary scheme derives for one attempt.
func BenchmarkTwoArgon2id(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for range 2 {
			argon2.IDKey([]byte("four words of passphrase"), make([]byte, 16), 3, 64<<10, 4, 32)
		}
	}
}

func acceptAll(session.Offer) session.Decision { return session.Accept }

// TestBenchmarkChild is not a test: it is the other process of BenchmarkInitiatorCPU.
func TestBenchmarkChild(t *testing.T) {
	mode := os.Getenv("MICROTRUST_BENCH")
	if mode == "" {
		t.Skip("only the benchmark's second process")
	}
	count, err := strconv.Atoi(os.Getenv("MICROTRUST_BENCH_COUNT"))
	require.NoError(t, err)
	address := os.Getenv("MICROTRUST_BENCH_ADDRESS")
	for i := range count {
		name := fmt.Sprintf("j%d-%d", os.Getpid(), i)
		if mode == "handshake" {
			require.NoError(t, bareHandshake(address, benchIdentity(t, name)))
			continue
		}
		store := benchStore(t, filepath.Join(t.TempDir(), name), name)
		p, err := hmacauth.ParsePassphrase(os.Getenv("MICROTRUST_BENCH_PASSPHRASE"))
		require.NoError(t, err)
		fp, err := certstore.ParseFingerprint(os.Getenv("MICROTRUST_BENCH_FINGERPRINT"))
		require.NoError(t, err)
		_, err = trust.Join(t.Context(), address, trust.JoinConfig{Store: store, Passphrase: p, Fingerprint: fp})
		require.NoError(t, err)
		require.NoError(t, store.Close())
	}
}

func child(b *testing.B, mode, address string, count int, join ...string) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchmarkChild$", "-test.count=1")
	cmd.Env = append(os.Environ(), "MICROTRUST_BENCH="+mode, "MICROTRUST_BENCH_ADDRESS="+address,
		"MICROTRUST_BENCH_COUNT="+strconv.Itoa(count))
	if len(join) == 2 {
		cmd.Env = append(cmd.Env, "MICROTRUST_BENCH_PASSPHRASE="+join[0], "MICROTRUST_BENCH_FINGERPRINT="+join[1])
	}
	out, err := cmd.CombinedOutput()
	require.NoError(b, err, string(out))
}

// cpuOf returns the processor time that this process, and no child of it, spends while fn runs.
func cpuOf(fn func()) time.Duration {
	before := cpu()
	fn()
	return cpu() - before
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type benchMachine struct {
	store *certstore.Store
	svc   *trust.Service
	addr  string
}

// benchFounder is a member with the default key, P-384, on its own directory.
func benchFounder(b *testing.B) benchMachine {
	m := benchMachine{store: benchStore(b, filepath.Join(b.TempDir(), "first"), "micro01")}
	b.Cleanup(func() { m.store.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	m.addr = ln.Addr().String()
	require.NoError(b, m.store.Bootstrap(b.Context(), m.addr))
	m.svc, err = trust.NewService(trust.Config{Store: m.store})
	require.NoError(b, err)
	srv := newServer(b, m.svc)
	go srv.ServeTLS(m.store.Guard(ln), "", "")
	b.Cleanup(func() { srv.Close() })
	return m
}

func benchStore(tb testing.TB, dir, name string) *certstore.Store {
	store, err := certstore.Open(dir, benchIdentity(tb, name))
	require.NoError(tb, err)
	return store
}

// bareServer does the mutual TLS handshake of the member m with whoever comes, and nothing more.
func bareServer(b *testing.B, m benchMachine) string {
	cfg := &tls.Config{
		Certificates: []tls.Certificate{m.store.Identity().TLSCertificate()}, ClientAuth: tls.RequireAnyClientCert,
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, NextProtos: []string{trust.Protocol},
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	require.NoError(b, err)
	b.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				conn.Read(make([]byte, 1)) // the handshake, then one byte
				conn.Write([]byte{1})
				conn.Close()
			}()
		}
	}()
	return ln.Addr().String()
}

func bareHandshake(address string, id *certstore.Identity) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cfg := strangerTLS(id, trust.Protocol)
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}
