package hmacauth_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/redact"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
)

// holders returns every type that holds a secret, as value and as pointer, and the secrets in the forms in which they might show.
func holders(t *testing.T) (all []any, secrets []string) {
	// Always the same words: some of the list are also in what is shown of any value, such as "handshake".
	generated, err := hmacauth.GenerateFrom(4, rand.NewChaCha8([32]byte{1}))
	require.NoError(t, err)
	supplied, err := hmacauth.ParsePassphrase("quartz walnut")
	require.NoError(t, err)
	s := newSide(t)
	s.secret = supplied.Secret()
	random, err := hmacauth.RandomSecret(nil)
	require.NoError(t, err)
	invited := hmacauth.InvitationSecret([16]byte([]byte("an invited secre")))
	initiator, _, err := hmacauth.NewInitiator(s.secret, s.handshake, nil)
	require.NoError(t, err)
	ours, theirs := meet(t, s, s)
	all = []any{
		generated, &generated, supplied, &supplied, supplied.Secret(), random, &random, invited, &invited,
		initiator, *initiator, ours, *ours, theirs, *theirs,
	}
	raw := [][]byte{[]byte("an invited secre"), []byte(supplied.Reveal()), random.PRS()[len(random.PRS())-32:]}
	for _, word := range append(strings.Fields(generated.Reveal()), "quartz", "walnut") {
		raw = append(raw, []byte(word+" "), []byte(" "+word))
	}
	for _, r := range raw {
		secrets = append(secrets, redacttest.Spellings(r)...)
	}
	return all, secrets
}

func TestSecretsAreNotPrintedLoggedOrEncoded(t *testing.T) {
	all, secrets := holders(t)
	looked := 0
	show := func(text string, what ...any) {
		looked++
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				require.Fail(t, "a secret shows", "%v: %q in %q", what, secret, text)
			}
		}
	}
	for _, holder := range all {
		name := reflect.TypeOf(holder).String()
		for _, v := range redacttest.Wrapped(holder) {
			redacttest.Show(v, func(text, how string) { show(text, name, how) })
		}
		require.Equal(t, "[redacted]", fmt.Sprint(holder))
		require.ErrorIs(t, gob.NewEncoder(new(bytes.Buffer)).Encode(holder), redact.ErrSecret, name)
		text, err := json.Marshal(holder)
		require.NoError(t, err)
		require.Equal(t, `"[redacted]"`, string(text))
		require.Error(t, json.Unmarshal(text, reflect.New(reflect.TypeOf(holder)).Interface()), "what was redacted is not read back")
		_, err = holder.(interface{ MarshalBinary() ([]byte, error) }).MarshalBinary()
		require.ErrorIs(t, err, redact.ErrSecret)
	}
	require.Len(t, all, 15)
	require.GreaterOrEqual(t, looked, 13*5*130)
	require.GreaterOrEqual(t, len(secrets), 50)
}

// No field, exported or not, of anything reachable holds a secret: they are in closures, where reflection does not reach.
func TestSecretsAreInNoField(t *testing.T) {
	all, secrets := holders(t)
	fields := 0
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		fields++
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		case reflect.String:
			for _, secret := range secrets {
				require.NotContains(t, v.String(), secret, path)
			}
		case reflect.Array:
			require.Contains(t, []string{
				".handshake.Initiator", ".handshake.Joiner", ".handshake.Session", ".handshake.ID",
				".handshake.NonceJoiner", ".handshake.NonceInitiator", ".keys.handshake",
			}, path, "bytes in a field that is not known to be public")
		case reflect.Func, reflect.Int:
		default:
			require.Fail(t, "a field of a kind that was not considered", "%s: %s", path, v.Kind())
		}
	}
	for _, holder := range all {
		walk(reflect.ValueOf(holder), "")
	}
	require.GreaterOrEqual(t, fields, 60)
}

// Types that hold secrets cannot be compared: == would stop at the first difference.
func TestSecretsAreNotComparable(t *testing.T) {
	for _, typ := range []reflect.Type{
		reflect.TypeFor[hmacauth.Passphrase](), reflect.TypeFor[hmacauth.Secret](),
		reflect.TypeFor[hmacauth.InitiatorKeys](), reflect.TypeFor[hmacauth.JoinerKeys](),
	} {
		require.False(t, typ.Comparable(), typ)
	}
}
