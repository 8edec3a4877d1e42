package invitation_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/invitation"
)

// content is what a string carries, as the document says it, so that the vectors do not rest on the code that they test.
type content struct {
	ID          string   `json:"id"`
	Secret      string   `json:"secret"`
	Fingerprint string   `json:"fingerprint"`
	Cluster     string   `json:"cluster"`
	Name        string   `json:"name"`
	Expires     uint64   `json:"expires"`
	Addresses   []string `json:"addresses"`
	PRS         string   `json:"prs"` // what enters the key exchange
}

// fieldsOf is the document's encoding of fields.
func fieldsOf(fields ...[]byte) []byte {
	var out []byte
	for _, b := range fields {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(b))), b...)
	}
	return out
}

// encode is the document's format a second time.
func (c content) encode(t testing.TB) []byte {
	t.Helper()
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	fields := [][]byte{[]byte("microtrust/2 invitation")}
	for _, digits := range []string{c.ID, c.Secret, c.Fingerprint, c.Cluster} {
		fields = append(fields, unhex(t, digits))
	}
	fields = append(fields, []byte(c.Name), number(c.Expires), number(uint64(len(c.Addresses))))
	for _, a := range c.Addresses {
		fields = append(fields, []byte(a))
	}
	return fieldsOf(fields...)
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	require.NoError(t, err)
	return b
}

func wrap(data []byte) string {
	sum := sha256.Sum256(data)
	return "microtrust-invite-1-" + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(data), sum[:8]...))
}

func sample() content {
	return content{
		ID: strings.Repeat("01", 16), Secret: strings.Repeat("02", 16), Fingerprint: strings.Repeat("03", 32), Cluster: strings.Repeat("04", 32),
		Name: "micro02", Expires: 1_800_000_000, Addresses: []string{"10.0.0.1:9443"},
		PRS: hex.EncodeToString(fieldsOf([]byte("microtrust/2 secret"), []byte("invitation"), bytes.Repeat([]byte{2}, 16))),
	}
}

// vector is one string, and what it says or which field is wrong.
type vector struct {
	About   string   `json:"about"`
	Text    string   `json:"text"`
	Field   string   `json:"field,omitempty"`   // of the error; otherwise the string is good
	Content *content `json:"content,omitempty"` // what a good one says
}

type vectorFile struct {
	Invitation int      `json:"invitation"`
	Protocol   string   `json:"protocol"`
	Vectors    []vector `json:"vectors"`
}

// vectors makes the file anew from the document's format.
func vectors(t testing.TB) vectorFile {
	file := vectorFile{Invitation: 1, Protocol: "microtrust/2"}
	good := func(about string, change func(*content)) {
		c := sample()
		change(&c)
		file.Vectors = append(file.Vectors, vector{About: about, Text: wrap(c.encode(t)), Content: &c})
	}
	bad := func(about, field string, change func(*content)) {
		c := sample()
		change(&c)
		file.Vectors = append(file.Vectors, vector{About: about, Text: wrap(c.encode(t)), Field: field})
	}
	raw := func(about, field, text string) {
		file.Vectors = append(file.Vectors, vector{About: about, Text: text, Field: field})
	}
	good("as made", func(*content) {})
	good("several addresses of every kind, in their order", func(c *content) {
		c.Addresses = []string{"micro01.example.net:9443", "[fd00::1]:1", "10.0.0.1:65535"}
	})
	good("the first and the last second", func(c *content) { c.Expires = 1 })
	good("the last second of the year 9999", func(c *content) { c.Expires = 253402300799 })
	plain := wrap(sample().encode(t))
	file.Vectors = append(file.Vectors, vector{About: "white space around it", Text: "\n  " + plain + " \r\n", Content: new(sample())})

	bad("id is zero", "id", func(c *content) { c.ID = strings.Repeat("00", 16) })
	bad("id is short", "id", func(c *content) { c.ID = "0101" })
	bad("id is long", "id", func(c *content) { c.ID = strings.Repeat("01", 17) })
	bad("secret is zero", "secret", func(c *content) { c.Secret = strings.Repeat("00", 16) })
	bad("secret is short", "secret", func(c *content) { c.Secret = strings.Repeat("02", 15) })
	bad("fingerprint is zero", "fingerprint", func(c *content) { c.Fingerprint = strings.Repeat("00", 32) })
	bad("fingerprint is shortened", "fingerprint", func(c *content) { c.Fingerprint = strings.Repeat("03", 10) })
	bad("cluster is zero", "cluster", func(c *content) { c.Cluster = strings.Repeat("00", 32) })
	bad("cluster is absent", "cluster", func(c *content) { c.Cluster = "" })
	bad("name is empty", "name", func(c *content) { c.Name = "" })
	bad("name in upper case", "name", func(c *content) { c.Name = "Micro02" })
	bad("name is too long", "name", func(c *content) { c.Name = strings.Repeat("a", 254) })
	bad("name is not UTF-8", "name", func(c *content) { c.Name = "micro\xff" })
	bad("name with a line break", "name", func(c *content) { c.Name = "micro02\nx" })
	bad("expires at zero", "expires", func(c *content) { c.Expires = 0 })
	bad("expires in the year 10000", "expires", func(c *content) { c.Expires = 253402300800 })
	bad("expires beyond all times", "expires", func(c *content) { c.Expires = 1<<64 - 1 })
	bad("no address", "addresses", func(c *content) { c.Addresses = nil })
	bad("17 addresses", "addresses", func(c *content) {
		c.Addresses = nil
		for port := range 17 {
			c.Addresses = append(c.Addresses, "10.0.0.1:90"+string(rune('0'+port/10))+string(rune('0'+port%10)))
		}
	})
	bad("an address without port", "addresses[0]", func(c *content) { c.Addresses = []string{"10.0.0.1"} })
	bad("an address twice", "addresses[1]", func(c *content) { c.Addresses = []string{"10.0.0.1:9443", "10.0.0.1:9443"} })
	bad("an address that is too long", "addresses[0]", func(c *content) { c.Addresses = []string{strings.Repeat("a", 300) + ":1"} })
	bad("an address that is not UTF-8", "addresses[0]", func(c *content) { c.Addresses = []string{"\xff:1"} })

	data := sample().encode(t)
	raw("bytes after the addresses", "text", wrap(append(bytes.Clone(data), 0)))
	raw("cut off before the addresses", "addresses", wrap(data[:len(data)-20]))
	raw("another label", "text", wrap(bytes.Replace(data, []byte("invitation"), []byte("invitatio_"), 1)))
	raw("nothing but a checksum", "text", wrap(nil))
	raw("empty", "text", "")
	raw("a word", "text", "passphrase")
	raw("the prefix alone", "version", "microtrust-invite-")
	raw("no content", "text", "microtrust-invite-1-")
	raw("version 2", "version", "microtrust-invite-2-"+plain[len("microtrust-invite-1-"):])
	raw("version 01", "version", "microtrust-invite-01-"+plain[len("microtrust-invite-1-"):])
	raw("prefix in upper case", "text", "MICROTRUST-INVITE-1-"+plain[len("microtrust-invite-1-"):])
	raw("padding", "text", plain+"=")
	raw("a line break inside", "text", plain[:40]+"\n"+plain[40:])
	raw("a space inside", "text", plain[:40]+" "+plain[40:])
	raw("the alphabet of ordinary base64", "text", plain[:60]+"+"+plain[61:])
	raw("cut off between two groups", "checksum", plain[:len("microtrust-invite-1-")+160])
	raw("one character changed", "checksum", changed(plain, 60))
	raw("longer than 8192 bytes", "text", plain+strings.Repeat("A", 8192))
	return file
}

func changed(text string, at int) string {
	c := byte('A')
	if text[at] == c {
		c = 'B'
	}
	return text[:at] + string(c) + text[at+1:]
}

// TestVectors: the file is what the format makes, and every string in it is read as it says. MICROTRUST_UPDATE_VECTORS makes it anew.
func TestVectors(t *testing.T) {
	path := filepath.Join("..", "testdata", "vectors", "invitation.json")
	want, err := json.MarshalIndent(vectors(t), "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	if os.Getenv("MICROTRUST_UPDATE_VECTORS") != "" {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
	var file vectorFile
	decoder := json.NewDecoder(bytes.NewReader(got))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&file))
	good, bad := 0, 0
	for _, v := range file.Vectors {
		inv, err := invitation.Parse(v.Text)
		if v.Content == nil {
			require.Error(t, err, v.About)
			requireField(t, err, v.Field, "microtrust-invite-1-"+"AAAA")
			require.True(t, inv.IsZero(), v.About)
			bad++
			continue
		}
		require.NoError(t, err, v.About)
		require.Equal(t, v.Content.ID, inv.ID.String())
		require.Equal(t, v.Content.Fingerprint, inv.Fingerprint.String())
		require.Equal(t, v.Content.Cluster, inv.Cluster.String())
		require.Equal(t, v.Content.Name, inv.Name)
		require.Equal(t, time.Unix(int64(v.Content.Expires), 0).UTC(), inv.Expires)
		require.Equal(t, v.Content.Addresses, inv.Addresses)
		require.Equal(t, strings.TrimSpace(v.Text), inv.Reveal())
		require.Equal(t, wrap(v.Content.encode(t)), inv.Reveal(), "the secret is in it")
		good++
	}
	require.GreaterOrEqual(t, good, 5)
	require.GreaterOrEqual(t, bad, 40)
}

// FuzzParse: what is read is written again as it came, and what is refused says which field. Every text is also tried as the
// content of a string with a right checksum, which no random change would meet.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f).Vectors {
		f.Add(v.Text)
		if data, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(v.Text, "microtrust-invite-1-")); err == nil && len(data) > 8 {
			f.Add(string(data[:len(data)-8]))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range []string{text, wrap([]byte(text))} {
			inv, err := invitation.Parse(s)
			if err != nil {
				require.ErrorIs(t, err, invitation.ErrInvalid)
				require.True(t, inv.IsZero(), "of what is refused, nothing can be used")
				continue
			}
			require.Equal(t, strings.TrimSpace(s), inv.Reveal())
		}
	})
}
