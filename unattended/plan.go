package unattended

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/session"
)

// Plan is what a file says. It does not change, and printing it shows no passphrase. Make it with [Load] or [Parse].
type Plan struct {
	members         []Member
	initiator       string // name of a member; empty if only its address is given
	address         string // of the initiator; empty if it is to be found
	link            string // network interface on which it is found
	passphrase      hmacauth.Passphrase
	passphraseFile  string // where the passphrase is, if it has not been read
	skipFingerprint bool
	services        map[string]string
	timeout         time.Duration
	pace            time.Duration // of everything that is repeated; another one in tests alone
	patience        time.Duration // with one that hangs, in a round of calls; another one in tests alone
}

// Member is a machine that the file names.
type Member struct {
	Name        string                // as certstore.CheckName takes it
	Address     string                // host:port where others reach it, or empty
	Fingerprint certstore.Fingerprint // of its certificate; zero if the file has none
}

// Members returns the machines in the order of the file. The caller owns the slice.
func (p *Plan) Members() []Member { return slices.Clone(p.members) }

// Member returns the machine of that name.
func (p *Plan) Member(name string) (Member, bool) {
	i := slices.IndexFunc(p.members, func(m Member) bool { return m.Name == name })
	if i < 0 {
		return Member{}, false
	}
	return p.members[i], true
}

// Services returns what every machine must have, by name and version. The caller owns the map.
func (p *Plan) Services() map[string]string { return maps.Clone(p.services) }

// Timeout is how long each machine waits for the others.
func (p *Plan) Timeout() time.Duration { return p.timeout }

// initiates reports whether a machine is the one that lets the others in.
func (p *Plan) initiates(name string, addresses []string) bool {
	if p.initiator != "" {
		return p.initiator == name
	}
	return slices.Contains(addresses, p.address)
}

// others returns the names of all machines but one.
func (p *Plan) others(name string) (names []string) {
	for _, m := range p.members {
		if m.Name != name {
			names = append(names, m.Name)
		}
	}
	return names
}

// digest stands for who is in the plan: what a machine says about having met all is about these.
func (p *Plan) digest() string {
	var names []string
	for _, m := range p.members {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	sum := wire.NewFields("microtrust/2 unattended").Strings(names).SHA256()
	return hex.EncodeToString(sum[:16])
}

// misfit says, in words for both sides, why an offer is not that of a machine of the plan; nothing if it is.
func (p *Plan) misfit(o session.Offer) string {
	m, ok := p.Member(o.Intent.Name)
	switch {
	case !ok:
		return "no machine of this name is in the file"
	case !m.Fingerprint.IsZero() && m.Fingerprint != o.Fingerprint():
		return "its fingerprint is not the one in the file"
	}
	for _, name := range slices.Sorted(maps.Keys(p.services)) {
		have, ok := o.Intent.Services[name]
		switch {
		case !ok:
			return fmt.Sprintf("service %s must be %s, and is not there", name, p.services[name])
		case have != p.services[name]:
			return fmt.Sprintf("service %s must be %s, and is %s", name, p.services[name], have)
		}
	}
	return ""
}
