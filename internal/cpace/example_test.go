package cpace_test

import (
	"bytes"
	"fmt"

	"github.com/microtrust/microtrust/internal/cpace"
)

func ExampleStart() {
	in := cpace.Input{PRS: []byte("correct horse battery"), CI: []byte("a and b"), SID: []byte("once")}
	a, ya, err := cpace.Start(in, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b, yb, err := cpace.Start(in, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	keyA, errA := a.FinishInitiator([]byte("I am a"), yb, []byte("I am b"))
	keyB, errB := b.FinishResponder(ya, []byte("I am a"), []byte("I am b"))
	fmt.Println(bytes.Equal(keyA, keyB), len(keyA), errA, errB)
	fmt.Println(a)
	// Output:
	// true 64 <nil> <nil>
	// [redacted]
}
