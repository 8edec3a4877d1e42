package trust_test

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
)

// vectorExchange is what this room looks at in testdata/vectors/join.json; package hmacauth reads all of it, strictly.
type vectorExchange struct {
	Name              string `json:"name"`
	CertificateJoiner string `json:"certificate_joiner"`
	Messages          []struct {
		Endpoint    string `json:"endpoint"`
		Repetition  bool   `json:"repetition"`
		RequestBody string `json:"request_body"`
		ReplyBody   string `json:"reply_body"`
	} `json:"messages"`
}

type vectorFingerprint struct {
	Certificate, Full, Grouped, Short, Words string
	Picture                                  []string
}

func loadExchanges(t *testing.T) (file struct {
	Exchanges    []vectorExchange
	Fingerprints []vectorFingerprint
}) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "join.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &file))
	return file
}

func parseHexCertificate(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	der, err := hex.DecodeString(text)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// TestVectorsHoldACluster: the set in the vectors' pages is one that the trust store accepts, by the digest that was announced,
// and the offer that it admits is the one that was made.
func TestVectorsHoldACluster(t *testing.T) {
	file := loadExchanges(t)
	e := file.Exchanges[0]
	require.Equal(t, "approved", e.Name)
	cert := parseHexCertificate(t, e.CertificateJoiner)
	var statements []*certstore.Statement
	var last documentReply
	var intent session.Intent
	var profile struct {
		Digest  string
		Profile []byte
	}
	for _, m := range e.Messages {
		var reply documentReply
		strict(t, []byte(m.ReplyBody), &reply)
		switch {
		case m.Repetition:
		case m.Endpoint == "join":
			strict(t, []byte(m.RequestBody), &intent)
		case m.Endpoint == "done":
			strict(t, []byte(m.RequestBody), &profile)
		case reply.State == "approved":
			last = reply
			for _, encoded := range reply.Statements {
				st, err := certstore.ParseEncodedStatement(encoded)
				require.NoError(t, err)
				statements = append(statements, st)
			}
		}
	}
	require.Equal(t, 2, last.Pages)
	require.Len(t, statements, 3)
	set := certstore.Evaluate(certstore.ClusterID(digits(t, last.Cluster, 32)), statements)
	require.Equal(t, last.Digest, set.Digest().String())
	require.Equal(t, last.Digest, profile.Digest)
	require.Equal(t, 2, set.Len())
	offer, err := session.NewOffer(cert, intent)
	require.NoError(t, err)
	member, ok := set.ByFingerprint(certstore.FingerprintOf(cert))
	require.True(t, ok)
	require.Equal(t, [32]byte(offer.ID()), member.Offer)

	own, err := certstore.ParseEncodedStatement(profile.Profile)
	require.NoError(t, err)
	require.Equal(t, certstore.KeyIDOf(cert), own.Issuer())
	content, ok := own.Profile()
	require.True(t, ok)
	require.Equal(t, member.Admit, content.Admit)
	require.Equal(t, intent.Addresses, content.Addresses)
}

func TestVectorsOfFingerprints(t *testing.T) {
	file := loadExchanges(t)
	for _, v := range file.Fingerprints {
		f := certstore.FingerprintOf(parseHexCertificate(t, v.Certificate))
		require.Equal(t, v.Full, f.String())
		require.Equal(t, v.Grouped, f.Grouped())
		require.Equal(t, v.Short, f.Short())
		require.Equal(t, v.Words, f.Words())
		require.Equal(t, strings.Join(v.Picture, "\n"), f.Picture())
	}
	require.GreaterOrEqual(t, len(file.Fingerprints), 2)
}
