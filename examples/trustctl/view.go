package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/agekeys"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

// view is what a directory shows without a private key and without a lock.
type view struct {
	certstore.StatementFile
	snapshot *certstore.Snapshot
	own      *x509.Certificate // nil if there is none that can be read
}

func (t *tool) look() (view, error) {
	file, err := certstore.ReadStore(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return view{}, fmt.Errorf("there is no trust store in %s: %w", t.dir, fs.ErrNotExist)
	}
	if err != nil {
		return view{}, err
	}
	own := certificateIn(t.dir, "identity")
	if own == nil { // in the middle of a rotation
		own = certificateIn(t.dir, "identity.next")
	}
	return view{file, certstore.Evaluate(file.Cluster, file.Statements), own}, nil
}

// certificateIn returns the leaf of an identity, if it can be read.
func certificateIn(dir, sub string) *x509.Certificate {
	text, err := os.ReadFile(filepath.Join(dir, sub, "cert.pem"))
	if err != nil {
		return nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}

// mine reports whether a member is this machine.
func (v view) mine(m *certstore.Member) bool { return v.own != nil && m.Certificate.Equal(v.own) }

// summary is what every command says about a set of statements in the same words.
func (v view) summary() string {
	return fmt.Sprintf("cluster  %v\nmembers  %d\ndigest   %v\n", v.Cluster, v.snapshot.Len(), v.snapshot.Digest())
}

// names gives keys the names that the statements give them.
type names map[certstore.KeyID]string

func (v view) names() names {
	n := names{}
	for _, s := range v.Statements {
		if g, ok := s.Genesis(); ok {
			n[s.Issuer()] = g.Name
		} else if a, ok := s.Admit(); ok && n[a.Subject] == "" {
			n[a.Subject] = a.Name
		}
	}
	for m := range v.snapshot.Members() {
		n[m.Key] = m.Name
	}
	return n
}

func (n names) of(key certstore.KeyID) string {
	if name, ok := n[key]; ok {
		return name
	}
	return "key " + key.String()[:16] + "…"
}

// open opens the store for a change.
func (t *tool) open(ctx context.Context) (*certstore.Store, error) {
	protection, err := t.protection(ctx)
	if err != nil {
		return nil, err
	}
	id, err := certstore.LoadIdentity(t.dir, protection)
	if err != nil {
		return nil, err
	}
	return certstore.Open(t.dir, id)
}

// protection returns what opens the private key, nil without -passphrase-file.
func (t *tool) protection(ctx context.Context) (certstore.KeyProtection, error) {
	if t.passphraseFile == "" {
		return nil, nil
	}
	line, err := t.firstLine(ctx)
	if err != nil {
		return nil, &terminal.UsageError{Err: fmt.Errorf("reading the passphrase: %w", err)}
	}
	protection, err := agekeys.Passphrase([]byte(line), 0)
	if err != nil {
		return nil, fmt.Errorf("-passphrase-file: %w", err)
	}
	return protection, nil
}

func (t *tool) firstLine(ctx context.Context) (string, error) {
	if t.passphraseFile == "-" {
		return t.input.Line(ctx, time.Time{})
	}
	file, err := os.Open(t.passphraseFile)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line), err
}

// plain returns text that others chose as it may stand on a terminal.
func plain(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < '!' || r > '~' }) {
		return strconv.QuoteToASCII(text)
	}
	return text
}
