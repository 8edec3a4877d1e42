package trust

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// askedBody notes the largest room that its reader has made before anything arrived, and then breaks off.
type askedBody struct {
	text  string
	asked int
}

func (b *askedBody) Close() error { return nil }

func (b *askedBody) Read(p []byte) (int, error) {
	b.asked = max(b.asked, len(p))
	n := copy(p, b.text)
	b.text = b.text[n:]
	if n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, nil
}

// TestClaimedLengthCostsNothing: a stranger that announces a large body and sends little of it makes the initiator hold
// little.
func TestClaimedLengthCostsNothing(t *testing.T) {
	for _, sent := range []int{0, 1, 1000} {
		body := &askedBody{text: strings.Repeat("x", sent)}
		x := &exchange{r: &http.Request{Body: body, ContentLength: maxRequestBody}}
		require.ErrorIs(t, (&Service{}).gateBody(x), errRefuse)
		require.Nil(t, x.body)
		require.Positive(t, body.asked)
		require.LessOrEqual(t, body.asked, 2<<10, "room for %d bytes after %d", body.asked, sent)
	}
	whole := &askedBody{text: strings.Repeat("x", maxRequestBody)}
	x := &exchange{r: &http.Request{Body: whole, ContentLength: maxRequestBody}}
	require.NoError(t, (&Service{}).gateBody(x))
	require.Len(t, x.body, maxRequestBody)
}

// TestBodyEndsWhereItSaid: what comes after the length that was announced is not read.
func TestBodyEndsWhereItSaid(t *testing.T) {
	x := &exchange{r: &http.Request{Body: io.NopCloser(strings.NewReader("abcdef")), ContentLength: 3}}
	require.NoError(t, (&Service{}).gateBody(x))
	require.Equal(t, "abc", string(x.body))
}
