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

// post sends a message to another machine, by name or address, and returns the body of its reply, of at most so many bytes.
// Any other status than 200 is a *statusError.
func post(ctx context.Context, send func(*http.Request) (*http.Response, error), host, path string, message any, most int) ([]byte, error) {
	body, err := wire.EncodeJSON(message)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	switch {
	case err != nil:
		return nil, err
	case len(reply) > most:
		return nil, fmt.Errorf("%w: that of %s has more than %d bytes", errTooLarge, host, most)
	case resp.StatusCode != http.StatusOK:
		return nil, &statusError{name: host, text: string(reply), status: resp.StatusCode}
	}
	return reply, nil
}

// statusError is a reply of a member that does not do what was asked.
type statusError struct {
	name, text string
	status     int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("trust: %s answered %d: %s", e.name, e.status, clip(e.text))
}

// memberClient returns a client for one member: pinned, and following no redirect.
func memberClient(store *certstore.Store, name string) *http.Client {
	return &http.Client{
		Transport:     store.Transport(name),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
