package etcdstore

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/microtrust/microtrust/certstore"
)

// ClientTLS returns TLS 1.3 settings for etcd's client that present the identity and accept servers that these roots vouch
// for: the authorities of etcd's certificates, or the servers' own certificates if they signed them themselves. A server's
// certificate must bear the host name or address of its endpoint. Without roots no server is accepted.
//
// etcd must be told to accept the identity: by its authority, or its certificate itself if it is self-signed, in the file
// that trusted-ca-file names. etcd reads that file when it starts. A client made with these settings goes on presenting id
// after a rotation; make another one then.
func ClientTLS(id *certstore.Identity, roots ...*x509.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root)
	}
	cert := id.TLSCertificate()
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    pool,
		// The server names authorities that it knows; a certificate that it knows itself is not named and is sent as well.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil },
	}
}
