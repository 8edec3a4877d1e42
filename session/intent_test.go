package session_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func many(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("key%d", i)] = "v"
	}
	return m
}

func manyAddresses(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("10.0.0.%d:1", i+1))
	}
	return list
}

func TestIntentRefused(t *testing.T) {
	rows := []struct {
		field  string
		intent session.Intent
	}{
		{"name", session.Intent{}},
		{"name", session.Intent{Name: "Upper"}},
		{"name", session.Intent{Name: "../etc"}},
		{"name", session.Intent{Name: strings.Repeat("a", 254)}},
		{"addresses", session.Intent{Name: "a", Addresses: manyAddresses(17)}},
		{"addresses[1]", session.Intent{Name: "a", Addresses: []string{"10.0.0.1:1", "10.0.0.1"}}},
		{"addresses[1]", session.Intent{Name: "a", Addresses: []string{"10.0.0.1:1", "10.0.0.1:1"}}},
		{"services", session.Intent{Name: "a", Services: many(65)}},
		{`services[""]`, session.Intent{Name: "a", Services: map[string]string{"": "1"}}},
		{`services["a b"]`, session.Intent{Name: "a", Services: map[string]string{"a b": "1"}}},
		{`services["db"]`, session.Intent{Name: "a", Services: map[string]string{"db": strings.Repeat("1", 257)}}},
		{`services["db"]`, session.Intent{Name: "a", Services: map[string]string{"db": "1\n2"}}},
		{"attributes", session.Intent{Name: "a", Attributes: many(65)}},
		{
			fmt.Sprintf("attributes[%q]", strings.Repeat("k", 65)),
			session.Intent{Name: "a", Attributes: map[string]string{strings.Repeat("k", 65): ""}},
		},
		{`attributes["k�"]`, session.Intent{Name: "a", Attributes: map[string]string{"k\xff": ""}}},
		{`attributes["k"]`, session.Intent{Name: "a", Attributes: map[string]string{"k": "\xff"}}},
		{`attributes["k"]`, session.Intent{Name: "a", Attributes: map[string]string{"k": "a\u202eb"}}},
	}
	cert := certificate(t)
	for _, row := range rows {
		_, err := session.NewOffer(cert, row.intent)
		require.ErrorIs(t, err, session.ErrInvalid)
		fe, ok := errors.AsType[*session.FieldError](err)
		require.True(t, ok)
		require.Equal(t, row.field, fe.Field)
		require.NotEmpty(t, fe.Rule)
	}
	for _, bad := range []*x509.Certificate{nil, {}, {Raw: []byte{1}}} {
		_, err := session.NewOffer(bad, session.Intent{Name: "a"})
		fe, ok := errors.AsType[*session.FieldError](err)
		require.True(t, ok)
		require.Equal(t, "certificate", fe.Field)
	}
}

func TestIntentLimitsAreReachable(t *testing.T) {
	intent := session.Intent{
		Name: "micro02.example.org", Addresses: append(manyAddresses(15), "[2001:db8::1]:9443"), Services: many(64),
		Attributes: map[string]string{strings.Repeat("k", 64): strings.Repeat("v", 256), "empty": "", "text": "äöü and so on"},
	}
	require.NoError(t, intent.Check())
}

func TestOfferIsACopy(t *testing.T) {
	intent := session.Intent{Name: "a", Addresses: []string{"a:1"}, Services: map[string]string{"db": "1"}}
	o, err := session.NewOffer(certificate(t), intent)
	require.NoError(t, err)
	id := o.ID()
	intent.Addresses[0], intent.Services["db"] = "evil:1", "2"
	require.Equal(t, id, o.ID())
	require.Len(t, id.String(), 64)
	require.Zero(t, session.Offer{}.Fingerprint())
	require.NotEqual(t, session.OfferID{}, session.Offer{}.ID())
}

// Whatever changes in an intent, or moves from one field to another, changes the id.
func TestOfferIDCoversEverything(t *testing.T) {
	cert := certificate(t)
	intents := []session.Intent{
		{Name: "a"},
		{Name: "b"},
		{Name: "a", Addresses: []string{"a:1"}},
		{Name: "a", Addresses: []string{"a:1", "b:1"}},
		{Name: "a", Addresses: []string{"b:1", "a:1"}},
		{Name: "a", Services: map[string]string{"x": "y"}},
		{Name: "a", Attributes: map[string]string{"x": "y"}},
		{Name: "a", Services: map[string]string{"xy": ""}},
		{Name: "a", Services: map[string]string{"x": "1", "y": "2"}},
		{Name: "a", Services: map[string]string{"x": "2", "y": "1"}},
	}
	seen := map[session.OfferID]int{}
	for i, intent := range intents {
		o, err := session.NewOffer(cert, intent)
		require.NoError(t, err)
		seen[o.ID()] = i
	}
	seen[offerOf(t, certificate(t), "a").ID()] = -1
	require.Len(t, seen, len(intents)+1)
	empty, err := session.NewOffer(cert, session.Intent{Name: "a", Addresses: []string{}, Services: map[string]string{}})
	require.NoError(t, err)
	require.Equal(t, 0, seen[empty.ID()], "empty and absent are the same")
}

func TestOfferIDIsAFunctionOfTheOffer(t *testing.T) {
	cert := certificate(t)
	entry := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,4}`), rapid.StringMatching(`[a-z0-9.]{0,5}`), 0, 5)
	rapid.Check(t, func(t *rapid.T) {
		draw := func() session.Intent {
			return session.Intent{Name: "a", Services: entry.Draw(t, "services"), Attributes: entry.Draw(t, "attributes")}
		}
		i, j := draw(), draw()
		a, err := session.NewOffer(cert, i)
		require.NoError(t, err)
		b, err := session.NewOffer(cert, j)
		require.NoError(t, err)
		same := fmt.Sprint(i) == fmt.Sprint(j)
		require.Equal(t, same, a.ID() == b.ID())
	})
}
