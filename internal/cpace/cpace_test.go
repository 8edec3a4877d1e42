package cpace_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/cpace"
)

func input() cpace.Input {
	return cpace.Input{PRS: []byte("correct horse"), CI: []byte("a to b"), SID: []byte("0123456789abcdef")}
}

// exchange runs both sides and returns both keys.
func exchange(t *testing.T, a, b cpace.Input, change func(*party)) (isk [2][]byte) {
	t.Helper()
	stateA, ya, err := cpace.Start(a, nil)
	require.NoError(t, err)
	stateB, yb, err := cpace.Start(b, nil)
	require.NoError(t, err)
	p := party{adA: []byte("A"), adB: []byte("B"), ya: ya}
	if change != nil {
		change(&p)
	}
	isk[0], err = stateA.FinishInitiator([]byte("A"), yb, []byte("B"))
	require.NoError(t, err)
	isk[1], err = stateB.FinishResponder(p.ya, p.adA, p.adB)
	require.NoError(t, err)
	require.Len(t, isk[0], cpace.KeySize)
	require.Len(t, isk[1], cpace.KeySize)
	return isk
}

// party is what B believes, beside its input.
type party struct {
	adA, adB []byte
	ya       cpace.Share
}

func TestSidesThatDifferEndWithDifferentKeys(t *testing.T) {
	rows := map[string]struct {
		input func(*cpace.Input)
		other func(*party)
	}{
		"another secret":              {input: func(in *cpace.Input) { in.PRS = []byte("correct house") }},
		"a longer secret":             {input: func(in *cpace.Input) { in.PRS = append(in.PRS, 0) }},
		"another channel":             {input: func(in *cpace.Input) { in.CI = []byte("b to a") }},
		"no channel":                  {input: func(in *cpace.Input) { in.CI = nil }},
		"another session":             {input: func(in *cpace.Input) { in.SID = []byte("0123456789abcdeF") }},
		"a byte moved to the channel": {input: func(in *cpace.Input) { in.CI, in.SID = append(in.CI, in.SID[0]), in.SID[1:] }},
		"a byte moved to the secret":  {input: func(in *cpace.Input) { in.PRS, in.CI = append(in.PRS, in.CI[0]), in.CI[1:] }},
		"another ADa":                 {other: func(p *party) { p.adA = []byte("a") }},
		"another ADb":                 {other: func(p *party) { p.adB = []byte("b") }},
		"associated data exchanged":   {other: func(p *party) { p.adA, p.adB = p.adB, p.adA }},
		"a byte moved between them":   {other: func(p *party) { p.adA, p.adB = []byte("AB"), nil }},
		"another share": {other: func(p *party) {
			_, p.ya, _ = cpace.Start(input(), nil)
		}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			b := input()
			if row.input != nil {
				row.input(&b)
			}
			isk := exchange(t, input(), b, row.other)
			require.NotEqual(t, isk[0], isk[1])
		})
	}
	require.Len(t, rows, 12)
}

func TestSidesThatAgreeEndWithOneKey(t *testing.T) {
	first := exchange(t, input(), input(), nil)
	require.Equal(t, first[0], first[1])
	second := exchange(t, input(), input(), nil)
	require.NotEqual(t, first[0], second[0], "two exchanges")

	long := input()
	long.PRS = bytes.Repeat([]byte("x"), 1000) // longer than a hash block: no padding
	third := exchange(t, long, long, nil)
	require.Equal(t, third[0], third[1])
}

// Two sides in the same role do not agree, even with equal inputs.
func TestRolesAreSeparate(t *testing.T) {
	a, ya, err := cpace.Start(input(), nil)
	require.NoError(t, err)
	b, yb, err := cpace.Start(input(), nil)
	require.NoError(t, err)
	first, err := a.FinishInitiator(nil, yb, nil)
	require.NoError(t, err)
	second, err := b.FinishInitiator(nil, ya, nil)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestBadSharesAreRefused(t *testing.T) {
	valid := func() cpace.Share { _, y, _ := cpace.Start(input(), nil); return y }()
	negative := valid
	negative[0] |= 1
	highBit := valid
	highBit[31] |= 0x80
	prime := cpace.Share(bytes.Repeat([]byte{0xff}, 32)) // 2^255-19, a second spelling of zero
	prime[0], prime[31] = 0xed, 0x7f
	above := prime
	above[0] = 0xef // 2^255-17, a second spelling of two
	rows := map[string]cpace.Share{
		"the identity":                        {},
		"the identity, spelt 2^255-19":        prime,
		"the identity with the high bit set":  {31: 0x80},
		"two, spelt 2^255-17":                 above,
		"a negative encoding":                 negative,
		"the high bit set":                    highBit,
		"all ones":                            cpace.Share(bytes.Repeat([]byte{0xff}, 32)),
		"one, which is negative":              {0: 1},
		"minus one":                           {0: 0xec, 31: 0x7f},
		"the base point of edwards25519":      cpace.Share(append([]byte{0x58}, bytes.Repeat([]byte{0x66}, 31)...)),
		"a square root that does not exist":   {0: 0x2b, 1: 0x3c, 2: 0x6b},
		"a small even number, not on a curve": {0: 26},
	}
	for name, share := range rows {
		t.Run(name, func(t *testing.T) {
			for _, finish := range []func(*cpace.State) ([]byte, error){
				func(s *cpace.State) ([]byte, error) { return s.FinishInitiator(nil, share, nil) },
				func(s *cpace.State) ([]byte, error) { return s.FinishResponder(share, nil, nil) },
			} {
				state, _, err := cpace.Start(input(), nil)
				require.NoError(t, err)
				isk, err := finish(state)
				require.ErrorIs(t, err, cpace.ErrShare)
				require.Nil(t, isk)
				_, err = finish(state)
				require.ErrorIs(t, err, cpace.ErrUsed, "a refused share uses the state up")
			}
		})
	}
	require.Len(t, rows, 12)
}

func TestOwnShareReflectedIsRefused(t *testing.T) {
	state, y, err := cpace.Start(input(), nil)
	require.NoError(t, err)
	_, err = state.FinishInitiator([]byte("A"), y, []byte("B"))
	require.ErrorIs(t, err, cpace.ErrShare)
	state, y, err = cpace.Start(input(), nil)
	require.NoError(t, err)
	_, err = state.FinishResponder(y, []byte("A"), []byte("B"))
	require.ErrorIs(t, err, cpace.ErrShare)
}

func TestBadStartsAreRefused(t *testing.T) {
	order := [32]byte{ // of the group, little-endian: reduces to zero
		0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10,
	}
	noSecret := input()
	noSecret.PRS = nil
	rows := map[string]struct {
		in     cpace.Input
		random io.Reader
		want   error
	}{
		"no secret":                   {noSecret, nil, cpace.ErrInput},
		"no randomness":               {input(), bytes.NewReader(nil), cpace.ErrRandom},
		"too little randomness":       {input(), bytes.NewReader(make([]byte, 63)), cpace.ErrRandom},
		"a source that fails":         {input(), iotest.ErrReader(errors.New("broken")), cpace.ErrRandom},
		"the scalar zero":             {input(), fixed([32]byte{}), cpace.ErrRandom},
		"the order, which is zero":    {input(), fixed(order), cpace.ErrRandom},
		"a source that yields ever 0": {input(), zeros{}, cpace.ErrRandom},
	}
	for name, row := range rows {
		state, share, err := cpace.Start(row.in, row.random)
		require.ErrorIs(t, err, row.want, name)
		require.Nil(t, state, name)
		require.Zero(t, share, name)
	}
	require.Len(t, rows, 7)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestZeroStateIsUsed(t *testing.T) {
	for _, state := range []*cpace.State{nil, {}} {
		_, err := state.FinishInitiator(nil, cpace.Share{}, nil)
		require.ErrorIs(t, err, cpace.ErrUsed)
		_, err = state.FinishResponder(cpace.Share{}, nil, nil)
		require.ErrorIs(t, err, cpace.ErrUsed)
	}
}

func TestStateFinishesOnceAmongMany(t *testing.T) {
	state, _, err := cpace.Start(input(), nil)
	require.NoError(t, err)
	_, yb, err := cpace.Start(input(), nil)
	require.NoError(t, err)
	var wait sync.WaitGroup
	results := make(chan error, 8)
	for range cap(results) {
		wait.Go(func() {
			_, err := state.FinishInitiator(nil, yb, nil)
			results <- err
		})
	}
	wait.Wait()
	close(results)
	succeeded := 0
	for err := range results {
		if err == nil {
			succeeded++
			continue
		}
		require.ErrorIs(t, err, cpace.ErrUsed)
	}
	require.Equal(t, 1, succeeded)
}

func TestInputIsCopied(t *testing.T) {
	in := input()
	stateA, ya, err := cpace.Start(in, nil)
	require.NoError(t, err)
	clear(in.PRS)
	clear(in.CI)
	clear(in.SID)
	stateB, yb, err := cpace.Start(input(), nil)
	require.NoError(t, err)
	first, err := stateA.FinishInitiator(nil, yb, nil)
	require.NoError(t, err)
	second, err := stateB.FinishResponder(ya, nil, nil)
	require.NoError(t, err)
	require.Equal(t, first, second)
}
