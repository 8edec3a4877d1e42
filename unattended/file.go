package unattended

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/strictyaml"
	"github.com/microtrust/microtrust/session"
)

const (
	// DefaultTimeout is how long each machine waits for the others if the file does not say it.
	DefaultTimeout = session.DefaultTimeout
	// MaxTimeout is the longest time that a file may give.
	MaxTimeout = session.MaxTimeout
	// MaxMembers is how many machines a file may name.
	MaxMembers = session.MaxJoiners + 1

	maxPassphraseFile = 4096 // bytes
)

// Load reads the file at path and, if that names one, the file with the passphrase, relative to it. A file that holds the
// passphrase must be for its owner alone (0600): ErrPermissions. Permissions are not looked at on Windows. Other errors are
// those of [Parse], and those of reading.
func Load(path string) (*Plan, error) {
	text, private, err := readFile(path, strictyaml.MaxSize)
	if err != nil {
		return nil, err
	}
	p, err := Parse(text, path)
	if err != nil {
		return nil, err
	}
	if p.passphraseFile == "" {
		return p, private
	}
	name := p.passphraseFile
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	line, private, err := readFile(name, maxPassphraseFile)
	if err := errors.Join(err, private); err != nil {
		return nil, fmt.Errorf("%s: passphrase_file: %w", path, err)
	}
	if p.passphrase, err = hmacauth.ParsePassphrase(string(line)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.passphraseFile = ""
	return p, nil
}

// readFile returns what a file holds, and whether it is for its owner alone.
func readFile(name string, most int64) (text []byte, private, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		private = fmt.Errorf("%w: %s has permissions %04o; run chmod 600 %[2]s", ErrPermissions, name, info.Mode().Perm())
	}
	text, err = io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return text, private, err
}

// Parse returns the plan that a text is; the file's name is for errors. It reads no other file: a plan whose passphrase is
// in one can be run only if it came from [Load].
//
// The keys are initiator (required: a member's name, or host:port), passphrase or passphrase_file (one of them required),
// members (required: a list of name, address and fingerprint, of which only the name is required), timeout, services,
// interface (where the initiator is found if its address is nowhere), and insecure_skip_fingerprint (true: the passphrase
// alone decides who the initiator is; required if the file has not the initiator's fingerprint).
//
// Errors are *[FileError].
func Parse(text []byte, file string) (*Plan, error) {
	top, err := strictyaml.Parse(text, file)
	if err != nil {
		return nil, err
	}
	fields, err := top.Fields("initiator", "passphrase", "passphrase_file", "members", "timeout", "services", "interface", "insecure_skip_fingerprint")
	if err != nil {
		return nil, err
	}
	p := &Plan{timeout: DefaultTimeout, pace: time.Second, patience: 5 * time.Second}
	for _, part := range []struct {
		key  string
		read func(strictyaml.Value) error
	}{
		{"members", p.readMembers},
		{"timeout", p.readTimeout},
		{"services", p.readServices},
		{"insecure_skip_fingerprint", p.readSkip},
		{"interface", func(v strictyaml.Value) (err error) { p.link, err = v.Text(); return err }},
		{"initiator", p.readInitiator},
		{"passphrase", p.readPassphrase},
		{"passphrase_file", p.readPassphraseFile},
	} {
		v := fields[part.key]
		required := part.key == "members" || part.key == "initiator"
		if !v.Is() && !required {
			continue
		}
		if err := part.read(v); err != nil {
			return nil, err
		}
	}
	if p.passphrase.IsZero() && p.passphraseFile == "" {
		return nil, fields["passphrase"].Refuse("is missing; or give passphrase_file")
	}
	return p, nil
}

func (p *Plan) readMembers(v strictyaml.Value) error {
	list, err := v.List()
	if err != nil {
		return err
	}
	if len(list) < 2 || len(list) > MaxMembers {
		return v.Refuse("must be 2 to %d machines", MaxMembers)
	}
	for _, item := range list {
		if err := p.readMember(item); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plan) readMember(v strictyaml.Value) error {
	fields, err := v.Fields("name", "address", "fingerprint")
	if err != nil {
		return err
	}
	var m Member
	if m.Name, err = readText(fields["name"], certstore.CheckName); err != nil {
		return err
	}
	if fields["address"].Is() {
		if m.Address, err = readText(fields["address"], certstore.CheckAddress); err != nil {
			return err
		}
	}
	if f := fields["fingerprint"]; f.Is() {
		text, err := f.Text()
		if err != nil {
			return err
		}
		if m.Fingerprint, err = certstore.ParseFingerprint(text); err != nil || m.Fingerprint.IsZero() {
			return f.Refuse("must be a certificate's fingerprint in full, 64 hexadecimal digits")
		}
	}
	for _, other := range p.members {
		switch {
		case other.Name == m.Name:
			return fields["name"].Refuse("is that of another machine of the file too")
		case m.Address != "" && other.Address == m.Address:
			return fields["address"].Refuse("is that of another machine of the file too")
		case !m.Fingerprint.IsZero() && other.Fingerprint == m.Fingerprint:
			return fields["fingerprint"].Refuse("is that of another machine of the file too")
		}
	}
	p.members = append(p.members, m)
	return nil
}

// readText returns a text that passes a check.
func readText(v strictyaml.Value, check func(string) error) (string, error) {
	text, err := v.Text()
	if err != nil {
		return "", err
	}
	return text, refuse(v, check(text))
}

// refuse repeats the rule of an error, without the value.
func refuse(v strictyaml.Value, err error) error {
	if field, ok := errors.AsType[*certstore.FieldError](err); ok {
		return v.Refuse("%s", field.Rule)
	}
	if field, ok := errors.AsType[*session.FieldError](err); ok {
		return v.Refuse("%s", field.Rule)
	}
	if err != nil {
		return v.Refuse("is not acceptable: %v", err)
	}
	return nil
}

func (p *Plan) readTimeout(v strictyaml.Value) error {
	text, err := v.Text()
	if err != nil {
		return err
	}
	p.timeout, err = time.ParseDuration(text)
	if err != nil {
		return v.Refuse("must be a time span with a unit, such as 90s or 10m")
	}
	if p.timeout <= 0 || p.timeout > MaxTimeout {
		return v.Refuse("must be positive and at most %s", MaxTimeout)
	}
	return nil
}

func (p *Plan) readServices(v strictyaml.Value) error {
	services, err := v.Map()
	if err != nil {
		return err
	}
	p.services = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		text, err := services[name].Text()
		if err != nil {
			return err
		}
		one := session.Intent{Name: p.members[0].Name, Services: map[string]string{name: text}}
		if err := refuse(services[name], one.Check()); err != nil {
			return err
		}
		p.services[name] = text
	}
	return refuse(v, session.Intent{Name: p.members[0].Name, Services: p.services}.Check())
}

func (p *Plan) readSkip(v strictyaml.Value) (err error) {
	p.skipFingerprint, err = v.Bool()
	return err
}

// readInitiator comes when the members are known, and whether the initiator's fingerprint must be.
func (p *Plan) readInitiator(v strictyaml.Value) error {
	text, err := v.Text()
	if err != nil {
		return err
	}
	if strings.Contains(text, ":") {
		if err := refuse(v, certstore.CheckAddress(text)); err != nil {
			return err
		}
		p.address = text
		if i := slices.IndexFunc(p.members, func(m Member) bool { return m.Address == text }); i >= 0 {
			p.initiator = p.members[i].Name
		}
	} else {
		m, ok := p.Member(text)
		if !ok {
			return v.Refuse("is neither the name of one of the members nor host:port")
		}
		p.initiator, p.address = m.Name, m.Address
	}
	m, _ := p.Member(p.initiator)
	switch {
	case p.address == "" && p.link == "":
		return v.Refuse("has no address among the members; or say with interface on which link it is found")
	case p.address != "" && p.link != "":
		return v.Refuse("has an address, so interface is of no use")
	case m.Fingerprint.IsZero() && !p.skipFingerprint:
		return v.Refuse("must have its fingerprint among the members, or insecure_skip_fingerprint must be true")
	case !m.Fingerprint.IsZero() && p.skipFingerprint:
		return v.Refuse("has its fingerprint among the members, so insecure_skip_fingerprint must not be true")
	}
	return nil
}

func (p *Plan) readPassphrase(v strictyaml.Value) error {
	text, err := v.Text()
	if err != nil {
		return err
	}
	p.passphrase, err = hmacauth.ParsePassphrase(text)
	return refuse(v, err) // which never contains it
}

func (p *Plan) readPassphraseFile(v strictyaml.Value) (err error) {
	if !p.passphrase.IsZero() {
		return v.Refuse("is of no use beside passphrase")
	}
	p.passphraseFile, err = v.Text()
	return err
}
