package microcloud_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/internal/redact"
	"github.com/microtrust/microtrust/internal/redact/redacttest"
)

// holders returns every type that holds a secret, as value and as pointer, and the secrets in the forms in which they might show.
func holders(t *testing.T) (all []any, secrets []string) {
	salt, err := hex.DecodeString(saltDigits)
	require.NoError(t, err)
	p := passphrase(t, phrase)
	derived, err := newDeriver(t, microcloud.DeriverConfig{Random: bytes.NewReader(salt)}).NewKey(t.Context(), p)
	require.NoError(t, err)
	raw := bytes.Repeat([]byte("raw key "), 4)
	used := rawKey(t, "v", raw)
	all = []any{p, &p, derived, *derived, used, *used}
	for _, secret := range [][]byte{[]byte(phrase), raw, argon2.IDKey([]byte(phrase), salt, 3, 64<<10, 4, 32)} {
		secrets = append(secrets, redacttest.Spellings(secret)...)
	}
	return all, secrets
}

func TestSecretsAreNotPrintedLoggedOrEncoded(t *testing.T) {
	all, secrets := holders(t)
	looked := 0
	show := func(text string, what ...any) {
		looked++
		for _, secret := range secrets {
			require.False(t, strings.Contains(text, secret), "a secret shows: %v", what)
		}
	}
	for _, holder := range all {
		name := reflect.TypeOf(holder).String()
		for _, v := range redacttest.Wrapped(holder) {
			redacttest.Show(v, func(text, how string) { show(text, name, how) })
		}
		require.Equal(t, "[redacted]", fmt.Sprint(holder))
		require.ErrorIs(t, gob.NewEncoder(new(bytes.Buffer)).Encode(holder), redact.ErrSecret, name)
		require.False(t, reflect.Indirect(reflect.ValueOf(holder)).Type().Comparable(), name)
	}
	require.Len(t, secrets, 3*10)
	require.GreaterOrEqual(t, looked, 6*5*130)
}

// No field, exported or not, holds a secret: they are in closures, where reflection does not reach. A Deriver holds none at all.
func TestSecretsAreInNoField(t *testing.T) {
	all, secrets := holders(t)
	fields := 0
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		fields++
		switch v.Kind() {
		case reflect.Pointer:
			walk(v.Elem(), path)
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		case reflect.String:
			require.NotContains(t, secrets, v.String(), path)
		case reflect.Slice:
			require.Equal(t, ".salt", path, "bytes in a field that is not known to be public")
		case reflect.Func:
		default:
			require.Fail(t, "a field of a kind that was not considered", "%s: %s", path, v.Kind())
		}
	}
	for _, holder := range all {
		walk(reflect.ValueOf(holder), "")
	}
	require.GreaterOrEqual(t, fields, 29)
}
