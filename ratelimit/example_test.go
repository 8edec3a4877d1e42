package ratelimit_test

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/microtrust/microtrust/ratelimit"
)

func ExampleNewAdmission() {
	adm, err := ratelimit.NewAdmission(ratelimit.AdmissionConfig{Source: ratelimit.Rate{Events: 2, Burst: 2}})
	if err != nil {
		panic(err)
	}
	now, source := time.Now(), netip.MustParseAddr("192.0.2.1")
	for range 3 {
		fmt.Println(adm.Admit(now, source))
	}
	// Output:
	// <nil>
	// <nil>
	// ratelimit: too many requests: limit "source", retry after 500ms
}

func ExampleLimitedError_Seconds() {
	err := error(&ratelimit.LimitedError{Scope: ratelimit.ScopeTotal, RetryAfter: 1200 * time.Millisecond})
	if limited, ok := errors.AsType[*ratelimit.LimitedError](err); ok {
		fmt.Println("Retry-After:", limited.Seconds())
	}
	// Output: Retry-After: 2
}

func ExampleNewAttempts() {
	attempts, err := ratelimit.NewAttempts(ratelimit.AttemptsConfig{})
	if err != nil {
		panic(err)
	}
	now, source, key := time.Now(), netip.MustParseAddr("192.0.2.1"), [32]byte{1}
	for _, right := range []bool{false, true, false} {
		r, err := attempts.Reserve(now, key, 2, source)
		if err != nil {
			panic(err)
		}
		if right {
			r.Release()
		} else {
			r.Fail()
		}
	}
	_, err = attempts.Reserve(now, key, 2, source)
	fmt.Println(attempts.Wrong(key), err)
	// Output: 2 ratelimit: the budget of wrong proofs is used up
}

func ExampleBudgetForBits() {
	fmt.Println(ratelimit.BudgetForBits(51), ratelimit.BudgetForBits(0))
	// Output: 2147483648 10
}

func ExampleNewTable() {
	table := ratelimit.NewTable[string, int](3)
	now := time.Now()
	table.Add(now, "honest", netip.MustParseAddr("198.51.100.1"), 1)
	table.Add(now, "noise 1", netip.MustParseAddr("203.0.113.1"), 2)
	table.Add(now, "noise 2", netip.MustParseAddr("203.0.113.1"), 3)
	evicted, ok := table.Add(now, "noise 3", netip.MustParseAddr("203.0.113.1"), 4)
	fmt.Println(evicted, ok)
	// Output: 2 true
}
