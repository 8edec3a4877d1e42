package certstore

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// memberKey is the key of the member in a request's context.
type memberKey struct{}

// MemberFrom returns the member that sent a request, from the context of a request that came through Store.Require. It is
// the member as it was when the request came in.
func MemberFrom(ctx context.Context) (*Member, bool) {
	m, ok := ctx.Value(memberKey{}).(*Member)
	return m, ok
}

// requireMember returns a handler that passes on the requests of members of the snapshot current at that moment.
func requireMember(current func() *Snapshot, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m, err := current().Authorize(r.TLS, time.Now())
		if err != nil {
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), memberKey{}, m)))
	})
}

// refuse answers 403 and one line of text, which tells a peer nothing that it does not know about itself.
func refuse(w http.ResponseWriter, err error) {
	text := "forbidden: the certificate is not that of a member of this cluster"
	switch {
	case errors.Is(err, ErrConnection):
		text = "forbidden: a member's certificate, proved in a TLS handshake of its own, is required"
	case errors.Is(err, ErrValidity):
		text = "forbidden: the certificate is not valid at this time"
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, text, http.StatusForbidden)
}
