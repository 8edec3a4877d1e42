package cpace_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/cpace"
	"github.com/microtrust/microtrust/internal/redact"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
)

func TestStateIsNotPrinted(t *testing.T) {
	scalar := [32]byte([]byte("a scalar of thirty-two bytes,..\x01"))
	in := input()
	state, _, err := cpace.Start(in, fixed(scalar))
	require.NoError(t, err)

	printed := 0
	show := func(what, text string) {
		printed++
		for _, secret := range [][]byte{in.PRS, in.SID, scalar[:16]} {
			for _, form := range redacttest.Spellings(secret) {
				if strings.Contains(text, form) {
					require.Fail(t, "a secret shows", "%s: %q in %q", what, form, text)
				}
			}
		}
	}
	holder := struct {
		Exported   *cpace.State
		unexported *cpace.State
		Value      any
	}{state, state, *state}
	for _, v := range []any{state, *state, holder, &holder, []any{state}, map[string]*cpace.State{"k": state}} {
		redacttest.Show(v, func(text, how string) { show(how, text) })
	}
	_, err = json.Marshal(holder)
	require.NoError(t, err)
	_, err = xml.Marshal(state)
	require.NoError(t, err)
	require.ErrorIs(t, gob.NewEncoder(new(bytes.Buffer)).Encode(state), redact.ErrSecret)
	_, err = state.MarshalBinary()
	require.ErrorIs(t, err, redact.ErrSecret)
	require.Equal(t, "[redacted]", fmt.Sprint(state))
	require.GreaterOrEqual(t, printed, 700)
}
