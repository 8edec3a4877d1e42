package certstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

// secretNumbers returns what nobody may see of a private key.
func secretNumbers(t *testing.T, key crypto.Signer) []*big.Int {
	t.Helper()
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		scalar, err := key.Bytes()
		require.NoError(t, err)
		return []*big.Int{new(big.Int).SetBytes(scalar)}
	case ed25519.PrivateKey:
		return []*big.Int{new(big.Int).SetBytes(key.Seed())}
	case *rsa.PrivateKey:
		return append([]*big.Int{key.D}, key.Primes...)
	default:
		require.FailNow(t, "unknown key")
		return nil
	}
}

// spellings returns the ways in which printers and encoders may write a number.
func spellings(n *big.Int) []string {
	raw := n.Bytes()
	list := strings.Trim(fmt.Sprint(raw), "[]")
	return []string{
		string(raw), hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), n.String(), list,
		strings.ReplaceAll(list, " ", ", "), strings.ReplaceAll(list, " ", ","), fmt.Sprintf("%#v", raw)[len("[]byte{"):][:40],
		base64.StdEncoding.EncodeToString(raw)[:20], base64.RawURLEncoding.EncodeToString(raw)[:20],
	}
}

func renderings(value any) map[string]string {
	out := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%T", "%p"} {
		out[verb] = fmt.Sprintf(verb, value)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", value)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "value", value)
	out["slog"] = log.String()
	encoded, err := json.Marshal(value)
	out["json"] = fmt.Sprint(string(encoded), err)
	encoded, err = xml.Marshal(value)
	out["xml"] = fmt.Sprint(string(encoded), err)
	var binary bytes.Buffer
	err = gob.NewEncoder(&binary).Encode(value)
	out["gob"] = fmt.Sprint(binary.String(), err)
	return out
}

func TestPrivateKeyNeverShows(t *testing.T) {
	checked := 0
	for kind, key := range newKeys(t) {
		id := identityOf(t, key)
		cert := id.TLSCertificate()
		current := always(snapshotOf(id))
		for what, value := range map[string]any{
			"identity":        id,
			"identity value":  *id,
			"TLS certificate": cert,
			"private key":     cert.PrivateKey,
			"server TLS":      certstore.ServerTLS(id, current, certstore.ServerTLSConfig{}),
			"client TLS":      certstore.ClientTLS(id, current, "micro01"),
			"transport":       certstore.NewTransport(id, current, "micro01"),
		} {
			for form, text := range renderings(value) {
				for _, secret := range secretNumbers(t, key) {
					for _, spelling := range spellings(secret) {
						require.NotContains(t, text, spelling, "%s: %s as %s", kind, what, form)
						checked++
					}
				}
			}
			seen := make(map[string]bool)
			visited := collect(reflect.ValueOf(value), seen, make(map[uintptr]bool))
			require.Greater(t, visited, 3, what)
			for _, secret := range secretNumbers(t, key) {
				require.False(t, seen[string(secret.Bytes())], "%s: %s by reflection", kind, what)
			}
		}
		require.IsNotType(t, key, cert.PrivateKey)
	}
	require.Greater(t, checked, 1000)
}

// The test above finds what it looks for.
func TestPrivateKeyShowsWithoutClosure(t *testing.T) {
	for kind, key := range newKeys(t) {
		found := false
		for _, text := range renderings(key) {
			for _, spelling := range spellings(secretNumbers(t, key)[0]) {
				found = found || strings.Contains(text, spelling)
			}
		}
		seen := make(map[string]bool)
		collect(reflect.ValueOf(key), seen, make(map[uintptr]bool))
		reached := false
		for text := range seen {
			reached = reached || strings.Contains(text, string(secretNumbers(t, key)[0].Bytes()))
		}
		require.True(t, found || reached, kind)
	}
}

// collect walks a value, unexported fields included, and notes every run of bytes and every number. It returns how many
// values it visited.
func collect(v reflect.Value, seen map[string]bool, pointers map[uintptr]bool) int {
	visited := 1
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || pointers[v.Pointer()] {
			return visited
		}
		pointers[v.Pointer()] = true
		if v.Type() == reflect.TypeFor[*big.Int]() {
			words := v.Elem().FieldByName("abs")
			n := new(big.Int)
			for i := words.Len() - 1; i >= 0; i-- {
				n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(words.Index(i).Uint()))
			}
			seen[string(n.Bytes())] = true
		}
		visited += collect(v.Elem(), seen, pointers)
	case reflect.Interface:
		if !v.IsNil() {
			visited += collect(v.Elem(), seen, pointers)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			visited += collect(v.Field(i), seen, pointers)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			visited += collect(key, seen, pointers) + collect(v.MapIndex(key), seen, pointers)
		}
	case reflect.Slice, reflect.Array:
		visited += collectList(v, seen, pointers)
	case reflect.String:
		seen[v.String()] = true
	}
	return visited
}

func collectList(v reflect.Value, seen map[string]bool, pointers map[uintptr]bool) int {
	if v.Type().Elem().Kind() != reflect.Uint8 {
		visited := 0
		for i := range v.Len() {
			visited += collect(v.Index(i), seen, pointers)
		}
		return visited
	}
	raw := make([]byte, v.Len())
	for i := range raw {
		raw[i] = byte(v.Index(i).Uint())
	}
	seen[string(raw)] = true
	return 1
}

func TestErrorsOfBadKeysShowNothing(t *testing.T) {
	key := newP256(t)
	cert, pem := encodeIdentity(t, mintCertificate(t, "micro01", key), key)
	secret := base64.StdEncoding.EncodeToString(secretNumbers(t, key)[0].Bytes())[:10]
	body := string(pem)
	for reason, damaged := range map[string]string{
		"damaged":   strings.Replace(body, "MIG", "MIH", 1),
		"cut":       body[:len(body)-30],
		"twice":     body + body,
		"type":      strings.ReplaceAll(body, "PRIVATE", "SECRET"),
		"leading":   "key:" + body,
		"unmatched": body,
	} {
		other := cert
		if reason == "unmatched" {
			other, _ = encodeIdentity(t, mintCertificate(t, "micro01", newP256(t)), key)
		}
		_, err := certstore.ParseIdentity(other, []byte(damaged))
		require.ErrorIs(t, err, certstore.ErrIdentity, reason)
		require.NotContains(t, err.Error(), secret)
		require.Less(t, len(err.Error()), 300)
	}
	_, err := x509.ParseCertificate(cert)
	require.Error(t, err)
}
