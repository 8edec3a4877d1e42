package ratelimit_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
)

// script reads random operations from the bytes of a fuzz engine.
type script struct{ data []byte }

func (s *script) more() bool { return len(s.data) > 0 }

func (s *script) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *script) uint64() uint64 {
	var b [8]byte
	s.data = s.data[copy(b[:], s.data):]
	return binary.BigEndian.Uint64(b[:])
}

func (s *script) addr() netip.Addr {
	switch b := s.byte(); b % 4 {
	case 0:
		return netip.Addr{}
	case 1:
		return netip.AddrFrom4([4]byte{10, 0, s.byte() % 4, b})
	case 2:
		return netip.AddrFrom16([16]byte{0: 0x20, 5: s.byte() % 4, 6: s.byte(), 7: b})
	default:
		return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 10, 14: s.byte() % 4, 15: b}).WithZone("z")
	}
}

// step changes now a little, or to anything.
func (s *script) step(now time.Time) time.Time {
	switch b := s.byte(); {
	case b < 200:
		return now.Add(time.Duration(b) * time.Millisecond)
	case b < 240:
		return now.Add(-time.Duration(b) * 50 * time.Millisecond)
	case b < 250:
		return time.Unix(int64(s.uint64()), 0)
	default:
		return time.Time{}
	}
}

func seed(f *testing.F) {
	f.Helper()
	seeds := [][]byte{
		{}, {1}, make([]byte, 200), []byte("\x01\x01\x01\x01\x02\x02\x02\x02\x03\x03\x03\xf0\xff\xff\xff\xff\xff\xff\xff\xff"),
		[]byte("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\xfa\xfb\xfc\xfd\xfe\xff"),
	}
	for _, s := range seeds {
		f.Add(s)
	}
}

func FuzzAdmission(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, now := &script{data}, start()
		a := admission(t, ratelimit.AdmissionConfig{
			Source:     ratelimit.Rate{Events: int(s.byte()) + 1, Burst: int(s.byte()) + 1},
			Total:      ratelimit.Rate{Events: int(s.byte()) + 1, Burst: 3},
			MaxSources: 5,
		})
		for s.more() {
			now = s.step(now)
			err := a.Admit(now, s.addr())
			if le, ok := errors.AsType[*ratelimit.LimitedError](err); err != nil && (!ok || le.RetryAfter <= 0 || le.Scope == "") {
				t.Fatalf("refused with %v", err)
			}
			if a.Sources() > 5 || a.Blocks() > 5 {
				t.Fatal("over the bound")
			}
		}
		source := netip.AddrFrom4([4]byte{192, 0, 2, 1})
		for range 50 { // whatever came before: who waits as told gets in
			err := a.Admit(now, source)
			if err == nil {
				return
			}
			le, _ := errors.AsType[*ratelimit.LimitedError](err)
			now = now.Add(le.RetryAfter + time.Second)
		}
		t.Fatal("locked out")
	})
}

func FuzzAttempts(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, now := &script{data}, start()
		a := attempts(t, ratelimit.AttemptsConfig{MaxKeys: 3, MaxSources: 4, FreePerSource: 2})
		const budget = 5
		var open []*ratelimit.Reservation
		dead := map[byte]bool{}
		for s.more() {
			now = s.step(now)
			switch op := s.byte(); {
			case op < 160:
				key := op % 6
				r, err := a.Reserve(now, secretNo(uint32(key)), budget, s.addr())
				if err == nil && dead[key] {
					t.Fatal("a used-up secret came back")
				}
				if errors.Is(err, ratelimit.ErrExhausted) {
					dead[key] = true
				}
				if err == nil {
					open = append(open, r)
				}
			case len(open) > 0:
				i := int(op) % len(open)
				if op%2 == 0 {
					open[i].Release()
				} else if n := open[i].Fail(); n < 1 || n > budget {
					t.Fatalf("%d wrong proofs of %d", n, budget)
				}
				open = append(open[:i], open[i+1:]...)
			default:
				a.Retire(secretNo(uint32(op % 6)))
			}
			for key := range byte(6) {
				if n := a.Wrong(secretNo(uint32(key))); n < 0 || n > budget {
					t.Fatalf("count %d of %d", n, budget)
				}
			}
			if a.Keys() > 3 || a.Sources() > 4 {
				t.Fatal("over the bound")
			}
		}
	})
}

func FuzzTable(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, now := &script{data}, start()
		const limit = 8
		table := ratelimit.NewTable[byte, int](limit)
		model := map[byte]int{}
		drop := func(v int) {
			for k, have := range model {
				if have == v {
					delete(model, k)
					return
				}
			}
			t.Fatalf("%d came out twice", v)
		}
		for n := 1; s.more(); n++ {
			now = s.step(now)
			key := s.byte() % 32
			switch op := s.byte(); {
			case op < 180:
				gone, ok := table.Add(now, key, s.addr(), n)
				if ok {
					drop(gone)
				}
				model[key] = n
			case op < 220:
				v, ok := table.Remove(key)
				if have, want := model[key]; ok != want || v != have {
					t.Fatalf("removed %d, %v; want %d, %v", v, ok, have, want)
				}
				delete(model, key)
			default:
				for _, v := range table.Expire(now, time.Duration(op)*time.Second) {
					drop(v)
				}
			}
			if table.Len() != len(model) || table.Len() > limit {
				t.Fatalf("%d entries, %d expected", table.Len(), len(model))
			}
			for k, want := range model {
				if v, ok := table.Get(k); !ok || v != want {
					t.Fatalf("key %d lost", k)
				}
			}
		}
	})
}
