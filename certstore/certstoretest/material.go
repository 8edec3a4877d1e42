package certstoretest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// cluster is a store in memory that issues the statements to try a backend with.
type cluster struct {
	s     *suite
	key   *ecdsa.PrivateKey
	store *certstore.Store
	taken map[certstore.StatementID]bool
	made  int
}

// newCluster begins a cluster. Its genesis and a profile are the first batch.
func (s *suite) newCluster() *cluster {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.must(err == nil, "generate a key: %v", err)
	id, err := certstore.NewIdentity([]*x509.Certificate{s.certificate(key, "m0", 0)}, key)
	s.must(err == nil, "make an identity: %v", err)
	store, err := certstore.OpenBackend(certstore.NewMemoryBackend(), id)
	s.must(err == nil, "open a store in memory: %v", err)
	s.Cleanup(func() { _ = store.Close() })
	err = store.Bootstrap(s.Context(), "192.0.2.1:9443")
	s.must(err == nil, "bootstrap: %v", err)
	return &cluster{s: s, key: key, store: store, taken: map[certstore.StatementID]bool{}}
}

// next returns what the cluster stated since the last call.
func (c *cluster) next() certstore.Batch {
	batch := certstore.Batch{}
	batch.Cluster, _ = c.store.Cluster()
	for _, statement := range c.store.Statements() {
		if !c.taken[statement.ID()] {
			c.taken[statement.ID()] = true
			batch.Statements = append(batch.Statements, statement)
		}
	}
	return batch
}

// admits returns a batch of n admissions with certificates of some size.
func (c *cluster) admits(n, size int) certstore.Batch {
	c.s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.s.must(err == nil, "generate a key: %v", err)
	for range n {
		c.made++
		name := fmt.Sprintf("m%d", c.made)
		_, err := c.store.Admit(context.Background(), certstore.AdmitRequest{Certificate: c.s.certificate(key, name, size), Name: name})
		c.s.must(err == nil, "admit %s: %v", name, err)
	}
	return c.next()
}

// batches returns the first batch of a new cluster and further ones of one to three statements, n in all.
func (s *suite) batches(n int) []certstore.Batch {
	s.Helper()
	c := s.newCluster()
	all := []certstore.Batch{c.next()}
	for i := 1; i < n; i++ {
		all = append(all, c.admits(1+i%3, 0))
	}
	return all
}

// certificate returns a self-signed certificate that has about size bytes more than it needs.
func (s *suite) certificate(key *ecdsa.PrivateKey, name string, size int) *x509.Certificate {
	s.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
	}
	if size > 0 {
		ballast := make([]byte, size)
		_, _ = rand.Read(ballast)
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 25, 1}, Value: ballast}}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	s.must(err == nil, "make a certificate: %v", err)
	cert, err := x509.ParseCertificate(der)
	s.must(err == nil, "parse a certificate: %v", err)
	return cert
}

// signed returns n versions of a statement of the cluster's with signatures that are all valid, the largest first.
func (c *cluster) signed(statement *certstore.Statement, n int) []*certstore.Statement {
	c.s.Helper()
	digest := sha256.Sum256(statement.Body())
	var all []*certstore.Statement
	for tries := 0; len(all) < n; tries++ {
		c.s.must(tries < 1000, "no further signatures")
		signature, err := ecdsa.SignASN1(rand.Reader, c.key, digest[:])
		c.s.must(err == nil, "sign: %v", err)
		again, err := certstore.ParseStatement(statement.Body(), signature)
		if err != nil { // every second one has the high S that is refused
			continue
		}
		all = append(all, again)
	}
	slices.SortFunc(all, func(a, b *certstore.Statement) int { return bytes.Compare(b.Signature(), a.Signature()) })
	return all
}

// union returns the statements of all batches, each with the smallest of its signatures.
func union(batches ...certstore.Batch) map[certstore.StatementID]*certstore.Statement {
	all := map[certstore.StatementID]*certstore.Statement{}
	for _, batch := range batches {
		for _, statement := range batch.Statements {
			if statement == nil {
				continue
			}
			had := all[statement.ID()]
			if had == nil || bytes.Compare(statement.Signature(), had.Signature()) < 0 {
				all[statement.ID()] = statement
			}
		}
	}
	return all
}

func same(a, b *certstore.Statement) bool {
	return a != nil && b != nil && bytes.Equal(a.Body(), b.Body()) && bytes.Equal(a.Signature(), b.Signature())
}
