package microcloudpeer

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// site is an initiator of this format that joiners meet, whoever wrote it. It must have the services of siteServices.
type site struct{ address, passphrase string }

func siteServices() map[string]string { return map[string]string{"LXD": "5.21.2"} }

// TestPeerRefuses: the peer's own initiator answers as the table of the format says.
func TestPeerRefuses(t *testing.T) {
	i := openInitiator(t, "micro01", passphrase, siteServices())
	testRefusals(t, site{i.address, passphrase})
	i.mu.Lock()
	i.open = false
	i.mu.Unlock()
	testNoSession(t, site{i.address, passphrase})
}

// attempt is one request to join, with everything as it should be before a row of the table changes it.
type attempt struct {
	joiner *joiner
	intent intent
	body   []byte
	header string
}

// testRefusals takes an open initiator through the table of the format.
func testRefusals(t *testing.T, at site) {
	const parse = "Failed to parse Authorization header: "
	header := func(value string) func(*attempt) { return func(a *attempt) { a.header = value } }
	digits := hex.EncodeToString(salt())
	tests := []struct {
		request string
		change  func(*attempt)
		status  int // 0: success
		text    string
	}{
		{"valid", func(*attempt) {}, 0, ""},
		{"upper-case hexadecimal", func(a *attempt) {
			version, value, _ := strings.Cut(a.header, " ")
			a.header = version + " " + strings.ToUpper(value)
		}, 0, ""},
		{"no Authorization header", header(""), 400, "Authorization header is missing"},
		{"a version alone", header("MicroCloud-1.0"), 400, parse},
		{"no code", header("MicroCloud-1.0 " + digits), 400, parse},
		{"an empty salt", header("MicroCloud-1.0 :" + digits), 400, parse},
		{"an empty code", header("MicroCloud-1.0 " + digits + ":"), 400, parse},
		{"a salt that is not hexadecimal", header("MicroCloud-1.0 nonhex:" + digits), 400, parse},
		{"a code that is not hexadecimal", header("MicroCloud-1.0 " + digits + ":nonhex"), 400, parse},
		{"another scheme version", func(a *attempt) { a.header = strings.Replace(a.header, "-1.0", "-2.0", 1) }, 400,
			`Authorization header uses version "MicroCloud-2.0" but expected "MicroCloud-1.0"`},
		{"another passphrase", func(a *attempt) { a.header = sign("not "+at.passphrase, a.body) }, 403, "Invalid HMAC"},
		{"a newline after the body", func(a *attempt) { a.body = append(a.body, '\n') }, 403, "Invalid HMAC"},
		{"another body", func(a *attempt) { a.body = bytes.Replace(a.body, []byte("micro"), []byte("macro"), 1) }, 403, "Invalid HMAC"},
		{"a service in another version", changed(func(i *intent) { i.Services = map[string]string{"LXD": "5.21.1"} }), 400,
			`Rejecting peer "$name" due to invalid LXD version. (Want: "5.21.2", Detected: "5.21.1")`},
		{"a missing service", changed(func(i *intent) { i.Services = map[string]string{"MicroOVN": "24.03.2"} }), 400,
			`Rejecting peer "$name" due to missing services (LXD)`},
	}
	for n, tt := range tests {
		a := newAttempt(t, at, n) // it listens until all are done, so that an initiator can tell it the end
		t.Run(tt.request, func(t *testing.T) {
			tt.change(a)
			err := a.send(t, at)
			if tt.status == 0 {
				require.NoError(t, err)
				requireRefusal(t, a.send(t, at), 400, "Failed to register join intent: Fingerprint already exists")
				return
			}
			text := strings.ReplaceAll(tt.text, "$name", a.intent.Name)
			if tt.text != parse {
				requireRefusal(t, err, tt.status, text)
				return
			}
			var got *refusal
			require.ErrorAs(t, err, &got)
			require.Contains(t, []int{400, 500}, got.status) // 500 in the field; 400 is the better choice
			require.Greater(t, len(got.text), len(parse))
			require.True(t, strings.HasPrefix(got.text, parse), got.text)
		})
	}
}

// newAttempt makes the n-th machine that asks to join, and what it sends.
func newAttempt(t *testing.T, at site, n int) *attempt {
	t.Helper()
	j := openJoiner(t, "micro1"+hex.EncodeToString([]byte{byte(n)}), at.passphrase, siteServices())
	a := &attempt{joiner: j, body: j.intent()}
	require.NoError(t, json.Unmarshal(a.body, &a.intent))
	a.header = j.sign(a.body)
	return a
}

// changed changes the intent and signs it as it is then.
func changed(change func(*intent)) func(*attempt) {
	return func(a *attempt) {
		change(&a.intent)
		a.body, _ = json.Marshal(a.intent)
		a.header = a.joiner.sign(a.body)
	}
}

func (a *attempt) send(t *testing.T, at site) error {
	t.Helper()
	return a.joiner.offerWith(within(t), at.address, a.body, a.header)
}

// testNoSession: an initiator whose session is over says so.
func testNoSession(t *testing.T, at site) {
	a := newAttempt(t, at, 99)
	requireRefusal(t, a.send(t, at), 400, "No active session")
}
