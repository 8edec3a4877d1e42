package certstore

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// SignedBytes is a statement as storage holds it: not verified, and with whatever bytes storage made of it.
type SignedBytes struct {
	Body      []byte // see Statement.Body
	Signature []byte // see Statement.Signature
}

// ParseStatements is ParseStatement for what a Backend loads: many statements, all of which must be valid and about one
// cluster. It uses all processors, since signatures are what opening a large store spends its time on. The first
// that is refused, in the order given, decides the error, which wraps ErrStatement, ErrSignature or ErrOtherCluster; bad
// is its index then, and -1 without an error.
func ParseStatements(cluster ClusterID, all []SignedBytes) (parsed []*Statement, bad int, err error) {
	parsed = make([]*Statement, len(all))
	errs := make([]error, len(all))
	inParallel(len(all), func(i int) {
		parsed[i], errs[i] = ParseStatement(all[i].Body, all[i].Signature)
		if errs[i] == nil && parsed[i].Cluster() != cluster {
			errs[i] = fmt.Errorf("%w: a statement among those of %v", ErrOtherCluster, cluster)
		}
	})
	for i, err := range errs {
		if err != nil {
			return nil, i, err
		}
	}
	return parsed, -1, nil
}

// inParallel calls do for every number below n, on all processors.
func inParallel(n int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	workers.Wait()
}
