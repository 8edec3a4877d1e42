package certstore

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// keepOrVouch makes admits survive the removal of their issuer. It returns the list for the removal, and beyond what fits
// there, statements by which voucher admits the rest anew; they belong into the same batch. voucher must be a member that
// stays. See docs/trust-store.md, "Removing a machine". Errors: ErrKeepLimit, wrapped, with the reason.
func (s *Store) keepOrVouch(st *state, voucher issuer, wanted []*Statement) (keep []StatementID, vouched []*Statement, err error) {
	wanted = slices.Clone(wanted)
	slices.SortFunc(wanted, func(a, b *Statement) int { // hand-overs first: nobody else can issue those
		if a.replaces().IsZero() != b.replaces().IsZero() {
			if b.replaces().IsZero() {
				return -1
			}
			return 1
		}
		return a.id.Compare(b.id)
	})
	for _, w := range wanted[:min(len(wanted), maxKeep)] {
		keep = append(keep, w.id)
	}
	slices.SortFunc(keep, StatementID.Compare)
	for _, w := range wanted[len(keep):] {
		v, err := s.vouch(st, voucher, w)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %d admissions are to stay, %d fit: %w", ErrKeepLimit, len(wanted), maxKeep, err)
		}
		vouched = append(vouched, v)
	}
	return keep, vouched, nil
}

// vouch admits anew what s admits, with the rights that it gives.
func (s *Store) vouch(st *state, voucher issuer, admit *Statement) (*Statement, error) {
	a := admit.content.(*Admission).clone()
	if !a.Replaces.IsZero() {
		return nil, fmt.Errorf("%w to hand over the key of another", ErrNotAllowed)
	}
	a.Rights &= st.live[admit.issuer]
	me, ok := st.snapshot.ByKey(sha256.Sum256(voucher.publicKeyDER()))
	switch {
	case !ok:
		return nil, ErrNotMember
	case !me.Rights.Has(MayAdmit):
		return nil, fmt.Errorf("%w to admit the others anew", ErrNotAllowed)
	case !me.Rights.Has(a.Rights):
		return nil, fmt.Errorf("%w to give %q rights %v, having %v", ErrNotAllowed, a.Name, a.Rights, me.Rights)
	}
	return signStatement(voucher, st.cluster, s.now(), &a)
}
