package trust

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
	"github.com/microtrust/microtrust/invitation"
	"github.com/microtrust/microtrust/session"
)

const (
	maxInvitations   = 1000
	invitationMemory = 24 * time.Hour // how long an invitation is remembered after its end
	bookVersion      = 1
)

// invited is an invitation that this machine made, and what is known of it. It is immutable: a change replaces it.
type invited struct {
	invitation.Invitation
	order    int // in which they were made
	made     time.Time
	services map[string]string
	bound    *claim // nil: nobody has proved it
	revoked  bool
}

// claim is the first certificate that proved an invitation, with the offer that came with it.
type claim struct {
	fingerprint certstore.Fingerprint
	key         certstore.KeyID
	offer       session.OfferID
}

// book is the invitations of this machine, in memory and in the notebook beside its identity.
type book struct {
	notes  *certstore.Notebook
	writer chan struct{} // holds one token: whoever has it may change the book, and admit by what stands in it

	mu      sync.Mutex
	entries map[invitation.ID]*invited // replaced as a whole
}

// bookFile is the content of the notebook (docs/trust-store.md, section "Notebooks").
type bookFile struct {
	Version     int         `json:"version"`
	Invitations []bookEntry `json:"invitations"`
}

type bookEntry struct {
	Text     string            `json:"text"`
	Made     int64             `json:"made"`
	Services map[string]string `json:"services"`
	Bound    *bookClaim        `json:"bound,omitempty"`
	Revoked  bool              `json:"revoked,omitempty"`
}

type bookClaim struct {
	Fingerprint string `json:"fingerprint"`
	Key         string `json:"key"`
	Offer       string `json:"offer"`
}

func openBook(notes *certstore.Notebook) (*book, error) {
	b := &book{notes: notes, writer: make(chan struct{}, 1), entries: map[invitation.ID]*invited{}}
	b.writer <- struct{}{}
	data, err := notes.Read()
	if err != nil || data == nil {
		return b, err
	}
	var file bookFile
	if err := wire.DecodeJSON(data, &file); err != nil {
		return nil, &BookError{notes.Path(), "", err.Error()}
	}
	if file.Version != bookVersion {
		return nil, &BookError{notes.Path(), "version", fmt.Sprintf("must be %d", bookVersion)}
	}
	if len(file.Invitations) > maxInvitations {
		return nil, &BookError{notes.Path(), "invitations", fmt.Sprintf("must be at most %d", maxInvitations)}
	}
	for i, entry := range file.Invitations {
		v, field, err := entry.read()
		if err == nil && b.entries[v.ID] != nil {
			field, err = "text", errRepeated
		}
		if err != nil {
			return nil, &BookError{notes.Path(), fmt.Sprintf("invitations[%d].%s", i, field), err.Error()}
		}
		v.order = i
		b.entries[v.ID] = v
	}
	return b, nil
}

// read returns what an entry says, or which field is wrong and why.
func (e bookEntry) read() (v *invited, field string, err error) {
	inv, err := invitation.Parse(e.Text)
	if err != nil {
		return nil, "text", err
	}
	v = &invited{Invitation: inv, made: time.Unix(e.Made, 0).UTC(), services: e.Services, revoked: e.Revoked}
	if e.Made <= 0 || v.made.After(inv.Expires) {
		return nil, "made", errNotBefore
	}
	if err := (session.Intent{Name: inv.Name, Services: e.Services}).Check(); err != nil {
		return nil, "services", err
	}
	if len(e.Services) == 0 {
		v.services = nil
	}
	if e.Bound == nil {
		return v, "", nil
	}
	v.bound = new(claim)
	for _, part := range []struct {
		field, text string
		into        []byte
	}{
		{"fingerprint", e.Bound.Fingerprint, v.bound.fingerprint[:]},
		{"key", e.Bound.Key, v.bound.key[:]},
		{"offer", e.Bound.Offer, v.bound.offer[:]},
	} {
		if err := wire.DecodeHex(part.into, part.text); err != nil {
			return nil, "bound." + part.field, err
		}
	}
	return v, "", nil
}

func (v *invited) entry() bookEntry {
	e := bookEntry{Text: v.Reveal(), Made: v.made.Unix(), Services: v.services, Revoked: v.revoked}
	if e.Services == nil {
		e.Services = map[string]string{}
	}
	if c := v.bound; c != nil {
		e.Bound = &bookClaim{
			Fingerprint: hex.EncodeToString(c.fingerprint[:]), Key: hex.EncodeToString(c.key[:]), Offer: hex.EncodeToString(c.offer[:]),
		}
	}
	return e
}

// lock waits for the token.
func (b *book) lock(ctx context.Context) error {
	select {
	case <-b.writer:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *book) unlock() { b.writer <- struct{}{} }

// find returns the invitation with this id as it stands now.
func (b *book) find(id invitation.ID) (*invited, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v, ok := b.entries[id]
	return v, ok
}

// list returns all invitations, the oldest first.
func (b *book) list() []*invited {
	b.mu.Lock()
	defer b.mu.Unlock()
	return inOrder(b.entries)
}

func inOrder(entries map[invitation.ID]*invited) []*invited {
	return slices.SortedFunc(maps.Values(entries), func(v, w *invited) int { return cmp.Compare(v.order, w.order) })
}

// remembers reports whether there is an invitation that its holder is to be told about.
func (b *book) remembers(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range b.entries {
		if !v.forgotten(now) {
			return true
		}
	}
	return false
}

func (v *invited) forgotten(now time.Time) bool { return now.After(v.Expires.Add(invitationMemory)) }

// replace writes the book with v in the place of what had its id, or behind all others, and without the invitations in drop. It
// is durable when it returns nil; otherwise it has not happened for this process. It needs the token.
func (b *book) replace(v *invited, drop ...invitation.ID) error {
	b.mu.Lock()
	next := maps.Clone(b.entries)
	b.mu.Unlock()
	for _, id := range drop {
		delete(next, id)
	}
	if _, known := next[v.ID]; !known {
		for _, other := range next {
			v.order = max(v.order, other.order+1)
		}
	}
	next[v.ID] = v
	file := bookFile{Version: bookVersion, Invitations: []bookEntry{}}
	for _, v := range inOrder(next) {
		file.Invitations = append(file.Invitations, v.entry())
	}
	data, err := wire.EncodeJSON(file)
	if err != nil {
		return err
	}
	if err := b.notes.Write(data); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = next
	return nil
}
