package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/microtrust/microtrust/certstore/memberfiles"
)

// before is what a daemon has of its own: a certificate, a file for each machine that it trusts, and TLS that pins these.
type before struct {
	pair    tls.Certificate // server.crt and server.key
	members string          // directory of the member files
}

func loadBefore(dir string) (*before, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	return &before{pair: pair, members: filepath.Join(dir, "members")}, err
}

// serverTLS lets in whoever proves the certificate of a member file.
func (b *before) serverTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{b.pair},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true, // so that the store can authorise the connections of before as well
		VerifyConnection: func(state tls.ConnectionState) error {
			members, err := memberfiles.Read(b.members)
			for _, m := range members {
				if m.Certificate.Equal(state.PeerCertificates[0]) {
					return nil
				}
			}
			return errors.Join(errors.New("nobody's certificate"), err)
		},
	}
}

// transport calls the machine of a member file.
func (b *before) transport(name string) (http.RoundTripper, error) {
	members, err := memberfiles.Read(b.members)
	for _, m := range members {
		if m.Name == name {
			roots := x509.NewCertPool()
			roots.AddCert(m.Certificate)
			return &http.Transport{TLSClientConfig: &tls.Config{
				MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: name, Certificates: []tls.Certificate{b.pair},
			}}, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("nobody is called %s", name), err)
}
