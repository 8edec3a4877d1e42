package ratelimit_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
)

func BenchmarkAdmitOneSource(b *testing.B) {
	a, now, source := admission(b, ratelimit.AdmissionConfig{}), start(), sourceNo(1)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		_ = a.Admit(now, source)
	}
}

func BenchmarkAdmitRandomSources(b *testing.B) {
	a, now, r := admission(b, ratelimit.AdmissionConfig{}), start(), rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Microsecond)
		_ = a.Admit(now, random6(r))
	}
}

func BenchmarkReserveRelease(b *testing.B) {
	a, now := attempts(b, ratelimit.AttemptsConfig{}), start()
	b.ReportAllocs()
	for b.Loop() {
		r, err := a.Reserve(now, secretNo(1), ratelimit.SuppliedBudget, sourceNo(1))
		if err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}

// The worst case: the table is full and every entry has a block of its own.
func BenchmarkTableOverflow(b *testing.B) {
	table, now, r := ratelimit.NewTable[int, int](1024), start(), rand.New(rand.NewPCG(1, 1))
	for i := range 1024 {
		table.Add(now, i, random6(r), i)
	}
	i := 1024
	b.ReportAllocs()
	for b.Loop() {
		table.Add(now, i, random6(r), i)
		i++
	}
}
