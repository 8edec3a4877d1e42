package cpace_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/cpace"
	"github.com/microtrust/microtrust/internal/redact"
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
			for _, form := range []string{
				string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
				strings.Trim(fmt.Sprint(secret[:4]), "[]"),
			} {
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
	for _, verb := range "vsqxXdboOtTpUeEfFgGcw" {
		for _, flag := range []string{"", "+", "#", "-20", "020", " "} {
			format := "%" + flag + string(verb)
			for _, v := range []any{state, *state, holder, &holder, []any{state}, map[string]*cpace.State{"k": state}} {
				show(format, fmt.Sprintf(format, v))
			}
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("m", "pointer", state, "value", *state, "holder", holder)
	}
	show("slog", log.String())
	text, err := json.Marshal(holder)
	require.NoError(t, err)
	show("json", string(text))
	text, err = xml.Marshal(state)
	require.NoError(t, err)
	show("xml", string(text))
	require.ErrorIs(t, gob.NewEncoder(new(bytes.Buffer)).Encode(state), redact.ErrSecret)
	_, err = state.MarshalBinary()
	require.ErrorIs(t, err, redact.ErrSecret)
	require.Equal(t, "[redacted]", fmt.Sprint(state))
	require.GreaterOrEqual(t, printed, 700)
}
