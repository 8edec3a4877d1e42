package trust

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// maxRounds bounds one reconciliation: each round moves up to a thousand statements in each direction.
const maxRounds = 100

// reconcile makes this store and the named member's equal, and returns how many statements were new here. Whatever it
// brings is signed and checked by the store, so the other side is not trusted with more than its own statements.
func reconcile(ctx context.Context, store *certstore.Store, client *http.Client, name string) (added int, err error) {
	var offered []*certstore.Statement
	for round := range maxRounds {
		cluster, ok := store.Cluster()
		if !ok {
			return added, ErrNoCluster
		}
		statements := store.Statements()
		req := exchangeRequest{Cluster: cluster.String(), Digest: store.Snapshot().Digest().String()}
		if round > 0 {
			for _, st := range statements {
				req.Have = append(req.Have, st.ID().String())
			}
		}
		if req.Statements, err = encodeStatements(offered); err != nil {
			return added, err
		}
		reply, err := postExchange(ctx, client, name, req)
		if err != nil {
			return added, err
		}
		if reply.Digest == req.Digest && len(reply.Statements) == 0 && len(reply.Want) == 0 {
			return added, nil
		}
		good, bad := parseStatements(reply.Statements)
		n, err := store.Merge(ctx, good)
		added += n
		if err != nil {
			return added, err
		}
		if bad != nil {
			return added, fmt.Errorf("trust: %s sent what does not verify: %w", name, bad)
		}
		wanted := pick(statements, reply.Want)
		if round > 1 && n == 0 && len(wanted) == 0 {
			return added, nil // nothing moves any more: what differs is not taken by one of the two, and both have said so
		}
		offered = wanted
	}
	return added, fmt.Errorf("trust: %s and this member are still apart after %d rounds", name, maxRounds)
}

// pick returns the statements with the given ids.
func pick(statements []*certstore.Statement, ids []string) []*certstore.Statement {
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var out []*certstore.Statement
	for _, st := range statements {
		if wanted[st.ID().String()] {
			out = append(out, st)
		}
	}
	return out
}

func postExchange(ctx context.Context, client *http.Client, name string, req exchangeRequest) (reply exchangeReply, err error) {
	body, err := wire.EncodeJSON(req)
	if err != nil {
		return reply, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+name+exchangePath, bytes.NewReader(body))
	if err != nil {
		return reply, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return reply, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxExchange+1))
	switch {
	case err != nil:
		return reply, err
	case len(raw) > maxExchange:
		return reply, fmt.Errorf("trust: the reply of %s is larger than %d bytes", name, maxExchange)
	case resp.StatusCode != http.StatusOK:
		return reply, fmt.Errorf("trust: %s answered %s: %s", name, resp.Status, clip(string(raw)))
	}
	return reply, wire.DecodeJSON(raw, &reply)
}

// memberClient returns a client for one member: pinned, and following no redirect.
func memberClient(store *certstore.Store, name string) *http.Client {
	return &http.Client{
		Transport:     store.Transport(name),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
