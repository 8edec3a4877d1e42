package microcloudwire_test

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/microcloudwire"
)

func certificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	id, err := certstore.GenerateIdentity(certstore.IdentityConfig{Name: name, Algorithm: certstore.Ed25519})
	require.NoError(t, err)
	return id.Certificate()
}

func intent(t testing.TB) string {
	t.Helper()
	body, err := microcloudwire.EncodeIntent(microcloudwire.Intent{
		Name: "micro02", Address: "10.0.0.102", Certificate: certificate(t, "micro02"),
		Services: map[string]string{"MicroCeph": "19.2.3", "LXD": "6.9"},
	})
	require.NoError(t, err)
	return string(body)
}

// TestIntentIsWrittenAsPeersWriteIt: the intents of the vectors come out of EncodeIntent as they went into ParseIntent.
func TestIntentIsWrittenAsPeersWriteIt(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/vectors/microcloud-1.0.json")
	require.NoError(t, err)
	var file struct {
		Vectors []struct{ Name, Class, Body string }
	}
	require.NoError(t, json.Unmarshal(raw, &file))
	same := 0
	for _, v := range file.Vectors {
		if v.Class == "mac" { // changed after it was written
			continue
		}
		in, err := microcloudwire.ParseIntent([]byte(v.Body))
		if err != nil {
			continue
		}
		require.True(t, strings.HasSuffix(in.Address, ":9443"), v.Name)
		if !strings.Contains(v.Body, in.Address) {
			in.Address = strings.TrimSuffix(in.Address, ":9443")
		}
		if strings.HasSuffix(v.Body, `"services":null}`) {
			v.Body = strings.TrimSuffix(v.Body, "null}") + "{}}"
		}
		body, err := microcloudwire.EncodeIntent(in)
		require.NoError(t, err)
		require.Equal(t, v.Body, string(body), v.Name)
		same++
	}
	require.Greater(t, same, 10)
}

func TestIntentFieldOrder(t *testing.T) {
	body := intent(t)
	require.Regexp(t, `^{"name":"micro02","version":"2.0","address":"10.0.0.102","certificate":"-----BEGIN CERTIFICATE-----\\n`+
		`[A-Za-z0-9+/=\\n]+-----END CERTIFICATE-----\\n","services":{"LXD":"6.9","MicroCeph":"19.2.3"}}$`, body)
	empty, err := microcloudwire.EncodeIntent(microcloudwire.Intent{Name: "a", Address: "b", Certificate: certificate(t, "a")})
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(empty), `,"services":{}}`))
}

func TestIntentIsRead(t *testing.T) {
	body := intent(t)
	for what, row := range map[string]struct{ old, new, address string }{
		"as it is":            {"", "", "10.0.0.102:9443"},
		"an address and port": {"10.0.0.102", "10.0.0.102:8443", "10.0.0.102:8443"},
		"a host":              {"10.0.0.102", "micro02.example", "micro02.example:9443"},
		"IPv6":                {"10.0.0.102", "fd00::1", "[fd00::1]:9443"},
		"IPv6 and port":       {"10.0.0.102", "[fd00::1]:8443", "[fd00::1]:8443"},
		"a field more":        {`{"name"`, `{"new":{"a":[1]},"name"`, "10.0.0.102:9443"},
		"space around PEM":    {`-----\n","services`, `-----\n\n \t","services`, "10.0.0.102:9443"},
		"space before PEM":    {`"-----BEGIN`, `"\n-----BEGIN`, "10.0.0.102:9443"},
		"no newline in PEM":   {`-----\n","services`, `-----","services`, "10.0.0.102:9443"},
	} {
		in, err := microcloudwire.ParseIntent([]byte(strings.Replace(body, row.old, row.new, 1)))
		require.NoError(t, err, what)
		require.Equal(t, "micro02", in.Name)
		require.Equal(t, row.address, in.Address, what)
		require.Equal(t, map[string]string{"LXD": "6.9", "MicroCeph": "19.2.3"}, in.Services)
		require.Equal(t, "micro02", in.Certificate.Subject.CommonName)
	}
}

func TestIntentRefuses(t *testing.T) {
	body := intent(t)
	pem := body[strings.Index(body, "-----BEGIN"):strings.Index(body, `","services`)]
	for what, row := range map[string]struct{ old, new, field string }{
		"a number as name":          {`"micro02"`, `7`, "name"},
		"no name":                   {`"name":"micro02",`, ``, "name"},
		"another spelling":          {`"name"`, `"Name"`, "name"},
		"null":                      {`"micro02"`, `null`, "body"},
		"another version":           {`"2.0"`, `"2.1"`, "version"},
		"no version":                {`"version":"2.0",`, ``, "version"},
		"a number as version":       {`"2.0"`, `2.0`, "version"},
		"no address":                {`"address":"10.0.0.102",`, ``, "address"},
		"an empty address":          {`10.0.0.102`, ``, "address"},
		"a port that is none":       {`10.0.0.102`, `10.0.0.102:http`, "address"},
		"port zero":                 {`10.0.0.102`, `10.0.0.102:0`, "address"},
		"the unspecified address":   {`10.0.0.102`, `0.0.0.0`, "address"},
		"a zone":                    {`10.0.0.102`, `fe80::1%eth0`, "address"},
		"brackets without a port":   {`10.0.0.102`, `[fd00::1]`, "address"},
		"a list of addresses":       {`10.0.0.102`, `10.0.0.102,10.0.0.103`, "address"},
		"a URL":                     {`10.0.0.102`, `https://10.0.0.102`, "address"},
		"a path":                    {`10.0.0.102`, `10.0.0.102/x`, "address"},
		"no certificate":            {pem, ``, "certificate"},
		"two certificates":          {pem, pem + pem, "certificate"},
		"something before it":       {pem, `x\n` + pem, "certificate"},
		"something behind it":       {pem, pem + `x`, "certificate"},
		"a key":                     {"BEGIN CERTIFICATE", "BEGIN PRIVATE KEY", "certificate"},
		"no PEM":                    {pem, "MIIB", "certificate"},
		"no DER":                    {pem, `-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`, "certificate"},
		"no services":               {`,"services":{"LXD":"6.9","MicroCeph":"19.2.3"}`, ``, "services"},
		"services as a list":        {`{"LXD":"6.9","MicroCeph":"19.2.3"}`, `["LXD"]`, "services"},
		"a version as a number":     {`"6.9"`, `6.9`, "services"},
		"a service twice":           {`"LXD":"6.9"`, `"LXD":"6.9","LXD":"6.9"`, "body"},
		"a field twice":             {`{"name"`, `{"name":"micro03","name"`, "body"},
		"two values":                {`"}}`, `"}}{}`, "body"},
		"an array":                  {body, `[]`, "body"},
		"nothing":                   {body, ``, "body"},
		"not UTF-8":                 {`micro02`, "micro\xff", "body"},
		"larger than may be":        {`"}}`, `"}}` + strings.Repeat(" ", microcloudwire.MaxBody), "body"},
		"nested deeper than may be": {`{"name"`, `{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"name"`, "body"},
	} {
		require.Contains(t, body, row.old, what)
		_, err := microcloudwire.ParseIntent([]byte(strings.Replace(body, row.old, row.new, 1)))
		require.ErrorIs(t, err, microcloudwire.ErrMessage, what)
		var field *microcloudwire.FieldError
		require.ErrorAs(t, err, &field, what)
		require.Equal(t, row.field, field.Field, what)
		require.NotEmpty(t, field.Rule)
	}
}

func TestIntentIsNotWritten(t *testing.T) {
	good := microcloudwire.Intent{Name: "micro02", Address: "10.0.0.102", Certificate: certificate(t, "micro02")}
	for field, change := range map[string]func(*microcloudwire.Intent){
		"certificate": func(i *microcloudwire.Intent) { i.Certificate = nil },
		"address":     func(i *microcloudwire.Intent) { i.Address = "https://10.0.0.102" },
		"body": func(i *microcloudwire.Intent) {
			i.Services = map[string]string{"": strings.Repeat("x", microcloudwire.MaxBody)}
		},
	} {
		bad := good
		change(&bad)
		_, err := microcloudwire.EncodeIntent(bad)
		var broken *microcloudwire.FieldError
		require.ErrorAs(t, err, &broken)
		require.Equal(t, field, broken.Field)
	}
}

// FuzzParseIntent: whatever is read can be written, and is read as the same again.
func FuzzParseIntent(f *testing.F) {
	f.Add([]byte(intent(f)))
	f.Add([]byte(`{"name":"","version":"2.0","address":"a","certificate":"","services":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		in, err := microcloudwire.ParseIntent(body)
		if err != nil {
			if !errors.Is(err, microcloudwire.ErrMessage) {
				t.Fatal(err)
			}
			return
		}
		again, err := microcloudwire.EncodeIntent(in)
		if err != nil {
			if len(body) > microcloudwire.MaxBody/2 {
				return // escapes make it larger than it came
			}
			t.Fatal(err)
		}
		second, err := microcloudwire.ParseIntent(again)
		if err != nil || second.Name != in.Name || second.Address != in.Address || !second.Certificate.Equal(in.Certificate) {
			t.Fatalf("%v\n%+v\n%+v", err, in, second)
		}
	})
}
