package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// soon is how long before its end a certificate is worth a note.
const soon = 30 * 24 * time.Hour

// audit is what is being looked at, and how much of it is wrong.
type audit struct {
	*tool
	wrong int
}

func (a *audit) ok(format string, args ...any)   { a.printf("ok     "+format+"\n", args...) }
func (a *audit) note(format string, args ...any) { a.printf("note   "+format+"\n", args...) }

func (a *audit) bad(format string, args ...any) {
	a.wrong++
	a.printf("WRONG  "+format+"\n", args...)
}

func (t *tool) audit(ctx context.Context) error {
	if info, err := os.Stat(t.dir); err != nil {
		return err
	} else if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a directory", fs.ErrNotExist, t.dir)
	}
	a := &audit{tool: t}
	a.permissions()
	if err := a.identity(ctx); err != nil {
		return err
	}
	a.leftovers()
	if v, sound := a.store(); sound && !v.Cluster.IsZero() {
		a.membership(v)
		a.members(v)
		a.digests(v)
	}
	if a.wrong > 0 {
		return fmt.Errorf("%w: %s", errWrong, count(a.wrong, "finding"))
	}
	return nil
}

// permissions: what is secret is for the owner alone, and nobody else changes what the machine trusts.
func (a *audit) permissions() {
	if runtime.GOOS == "windows" {
		return
	}
	before := a.wrong
	for _, part := range []struct {
		path      string
		forbidden fs.FileMode
		want      string
	}{
		{".", 0o022, "700"}, {"trust.jsonl", 0o077, "600"}, {"trust.lock", 0o022, "600"},
		{"identity", 0o077, "700"}, {"identity/key.pem", 0o077, "600"}, {"identity/cert.pem", 0o022, "600"},
		{"identity.next", 0o077, "700"}, {"identity.next/key.pem", 0o077, "600"}, {"identity.next/cert.pem", 0o022, "600"},
		{"identity.old", 0o077, "700"}, {"identity.old/key.pem", 0o077, "600"}, {"identity.old/cert.pem", 0o022, "600"},
	} {
		path := filepath.Join(a.dir, filepath.FromSlash(part.path))
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			a.bad("%v", err)
		case info.Mode().Perm()&part.forbidden != 0:
			a.bad("%s has mode %04o; correct it with: chmod %s", path, info.Mode().Perm(), part.want)
		}
	}
	if a.wrong == before {
		a.ok("permissions")
	}
}

// identity looks at certificate and key. Only a wrong passphrase is an error.
func (a *audit) identity(ctx context.Context) error {
	protection, err := a.protection(ctx)
	if err != nil {
		return err
	}
	id, err := certstore.LoadIdentity(a.dir, protection)
	switch {
	case err == nil && protection != nil:
		a.ok("identity %s, with a sealed key", id)
	case err == nil:
		a.ok("identity %s, with a key that is not sealed", id)
	case errors.Is(err, certstore.ErrSealed):
		a.note("the private key is sealed, and was not looked at without -passphrase-file")
	case errors.Is(err, certstore.ErrWrongKey):
		return err
	default:
		a.bad("%s", explain(err))
	}
	return nil
}

// leftovers: what a rotation, a creation or a change of protection has left.
func (a *audit) leftovers() {
	entries, err := os.ReadDir(a.dir)
	if err != nil {
		a.bad("%v", err)
	}
	for _, entry := range entries {
		path := filepath.Join(a.dir, entry.Name())
		switch {
		case entry.Name() == "identity.next":
			a.note("%s: the next key of this machine; its rotation goes on when the daemon runs", path)
		case entry.Name() == "identity.old":
			a.note("%s: the former key of this machine; its rotation goes on when the daemon runs", path)
		case strings.HasPrefix(entry.Name(), "notes."):
			if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				a.bad("%s: others may read it, and what it holds lets machines in; chmod 600", path)
			}
		case strings.HasPrefix(entry.Name(), "identity.tmp-"), strings.HasPrefix(entry.Name(), "identity.gone-"):
			a.note("%s: a private key that is not in use; it is destroyed when the daemon starts", path)
		}
		if _, err := os.Lstat(filepath.Join(path, "key.pem.new")); err == nil {
			a.bad("%s: a change of the key's protection was cut short; do it again", filepath.Join(path, "key.pem.new"))
		}
	}
}

// store verifies the file.
func (a *audit) store() (view, bool) {
	v, err := a.look()
	if err == nil {
		err = v.complete()
	}
	if err != nil {
		a.bad("%s", explain(err))
		return v, false
	}
	a.ok("store: %s, all verified", size(v.StatementFile))
	if v.Unfinished > 0 {
		a.note("the store ends with a line that is not finished: a write that is under way, or was cut off; it counts for nothing")
	}
	if v.Cluster.IsZero() {
		a.note("this machine is in no cluster yet")
	}
	return v, true
}

// membership: this machine is a member, under its own certificate.
func (a *audit) membership(v view) {
	if v.own == nil {
		return // identity has said so
	}
	switch m, ok := v.snapshot.ByKey(certstore.KeyIDOf(v.own)); {
	case v.snapshot.Gone(certstore.KeyIDOf(v.own)):
		a.bad("this machine was removed from the cluster")
	case !ok:
		a.bad("this machine is no member of the cluster that its store is about")
	case !v.mine(m):
		a.bad("this machine is a member with another certificate, %s", m.Fingerprint.Short())
	default:
		a.ok("this machine is the member %s, with rights %s", m.Name, m.Rights)
	}
}

// members: certificates that are valid, names that mean somebody, addresses to reach them at.
func (a *audit) members(v view) {
	before := a.wrong
	taken := map[string]bool{}
	for m := range v.snapshot.Members() {
		called := fmt.Sprintf("%s (%s)", m.Name, m.Fingerprint.Short())
		switch left := m.Certificate.NotAfter.Sub(a.now); {
		case left <= 0:
			a.bad("%s: the certificate has expired on %s; peers refuse it until its daemon runs and takes a new one", called, m.Certificate.NotAfter.UTC().Format(time.DateOnly))
		case left < soon:
			a.note("%s: the certificate expires on %s", called, m.Certificate.NotAfter.UTC().Format(time.DateOnly))
		}
		if a.now.Before(m.Certificate.NotBefore) {
			a.bad("%s: the certificate is not valid yet; look at the clocks", called)
		}
		if len(m.Addresses) == 0 {
			a.note("%s: no address is known", called)
		}
		var conflict *certstore.NameConflictError
		if _, err := v.snapshot.ByName(m.Name); errors.As(err, &conflict) && !taken[m.Name] {
			taken[m.Name] = true
			var holders []string
			for _, h := range conflict.Holders {
				holders = append(holders, h.Short())
			}
			a.bad("the name %s is held by %s, so it means none of them; remove all but one", m.Name, strings.Join(holders, " and "))
		}
	}
	if a.wrong == before {
		a.ok("%s, with valid certificates and names of their own", count(v.snapshot.Len(), "member"))
	}
}

// digests compares with what other members have exported.
func (a *audit) digests(v view) {
	a.ok("digest %v", v.snapshot.Digest())
	if len(a.args) == 0 && v.snapshot.Len() > 1 {
		a.note("whether the other members are in step shows in their digests: name files that were exported there")
	}
	for _, path := range a.args {
		other, err := readFile(path)
		switch {
		case err != nil:
			a.bad("%s", explain(err))
		case other.Unfinished > 0:
			a.bad("%s is not a whole copy", path)
		case other.Cluster != v.Cluster:
			a.bad("%s is about another cluster, %v", path, other.Cluster)
		case certstore.Evaluate(other.Cluster, other.Statements).Digest() == v.snapshot.Digest():
			a.ok("%s is in step", path)
		default:
			a.bad("%s is not in step: it lacks %s, and this machine lacks %d", path,
				count(lacks(other.Statements, v.Statements), "statement"), lacks(v.Statements, other.Statements))
		}
	}
}

// lacks counts what the first set has not of the second, superseded profiles left out.
func lacks(has, of []*certstore.Statement) (n int) {
	known := map[certstore.StatementID]bool{}
	for _, s := range has {
		known[s.ID()] = true
	}
	newest := map[certstore.KeyID]*certstore.Statement{}
	for _, s := range of {
		if s.Kind() == certstore.KindProfile {
			if other := newest[s.Issuer()]; other == nil || newer(s, other) {
				newest[s.Issuer()] = s
			}
		} else if !known[s.ID()] {
			known[s.ID()] = true
			n++
		}
	}
	for _, s := range newest {
		if !known[s.ID()] {
			n++
		}
	}
	return n
}

// newer reports whether profile s supersedes profile other.
func newer(s, other *certstore.Statement) bool {
	p, _ := s.Profile()
	q, _ := other.Profile()
	return p.Revision > q.Revision || p.Revision == q.Revision && s.ID().Compare(other.ID()) < 0
}
