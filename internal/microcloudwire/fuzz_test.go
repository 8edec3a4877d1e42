package microcloudwire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/microcloudwire"
)

// FuzzParseReply: a reply is a success exactly if it says so in status and type; of anything else a bounded text is kept, and the
// name is that of a success alone.
func FuzzParseReply(f *testing.F) {
	f.Add(200, microcloudwire.Success())
	f.Add(200, microcloudwire.SuccessName("micro01"))
	f.Add(403, microcloudwire.Failure(403, "Invalid HMAC"))
	f.Add(200, []byte(`{"type":"sync","metadata":{"name":"a","name":7}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		err := microcloudwire.ParseReply(status, body)
		name, nameErr := microcloudwire.ParseNameReply(status, body)
		var envelope struct{ Type string }
		wellFormed := json.Unmarshal(body, &envelope) == nil && len(body) <= microcloudwire.MaxBody
		require.False(t, err == nil && !(wellFormed && status == 200))
		require.Equal(t, name == "", nameErr != nil)
		if err == nil {
			return
		}
		require.Equal(t, err, nameErr)
		var refused *microcloudwire.ReplyError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, status, refused.Status)
		require.LessOrEqual(t, len(refused.Text), microcloudwire.MaxText)
		if !wellFormed {
			require.Empty(t, refused.Text)
		}
	})
}

// FuzzParseStop: the reason of a stop is read as it was written, or the stop is refused with the field.
func FuzzParseStop(f *testing.F) {
	for _, seed := range []string{`{"reason":"denied: not this one"}`, `{"new":1,"reason":""}`, `{"reason":null}`, `{"reason":"a","reason":"b"}`, `{"reason":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		reason, err := microcloudwire.ParseStop(body)
		if err != nil {
			require.ErrorIs(t, err, microcloudwire.ErrMessage)
			require.Empty(t, reason)
			return
		}
		again, err := microcloudwire.EncodeStop(reason)
		if err != nil {
			require.Greater(t, 6*len(reason)+20, microcloudwire.MaxBody, "escapes made it larger")
			return
		}
		second, err := microcloudwire.ParseStop(again)
		require.NoError(t, err)
		require.Equal(t, reason, second)
	})
}
