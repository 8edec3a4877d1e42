package microcloudwire_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/microcloudwire"
)

func TestEnvelopesAreWrittenAsPeersWriteThem(t *testing.T) {
	require.Equal(t, `{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{}}`,
		string(microcloudwire.Success()))
	require.Equal(t, `{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{"name":"micro01"}}`,
		string(microcloudwire.SuccessName("micro01")))
	require.Equal(t, `{"type":"error","status":"","status_code":0,"operation":"","error_code":403,"error":"Invalid HMAC","metadata":null}`,
		string(microcloudwire.Failure(403, "Invalid HMAC")))
	require.Equal(t, `Rejecting peer "micro02" due to invalid LXD version. (Want: "5.21.2", Detected: "5.21.1")`,
		microcloudwire.TextServiceVersion("micro02", "LXD", "5.21.2", "5.21.1"))
	require.Equal(t, `Rejecting peer "micro02" due to missing services (LXD, MicroOVN)`,
		microcloudwire.TextServiceMissing("micro02", "LXD", "MicroOVN"))
}

func TestParseReply(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for what, row := range map[string]struct {
		status int
		body   string
		text   string
		ok     bool
	}{
		"success":              {200, string(microcloudwire.Success()), "", true},
		"a peer's success":     {200, `{"metadata":null,"type":"sync","status_code":200}`, "", true},
		"refused":              {403, string(microcloudwire.Failure(403, "Invalid HMAC")), "Invalid HMAC", false},
		"an error with 200":    {200, string(microcloudwire.Failure(403, "Invalid HMAC")), "Invalid HMAC", false},
		"success with 500":     {500, string(microcloudwire.Success()), "", false},
		"another server":       {200, "<html>", "", false},
		"another type":         {200, `{"type":"async"}`, "", false},
		"nothing":              {200, "", "", false},
		"a text of any length": {400, string(microcloudwire.Failure(400, long)), long[:microcloudwire.MaxText], false},
		"a body of any length": {200, string(microcloudwire.Success()) + strings.Repeat(" ", microcloudwire.MaxBody), "", false},
	} {
		err := microcloudwire.ParseReply(row.status, []byte(row.body))
		if row.ok {
			require.NoError(t, err, what)
			continue
		}
		require.ErrorIs(t, err, microcloudwire.ErrReply, what)
		var reply *microcloudwire.ReplyError
		require.ErrorAs(t, err, &reply, what)
		require.Equal(t, microcloudwire.ReplyError{Status: row.status, Text: row.text}, *reply, what)
	}
}

func TestParseNameReply(t *testing.T) {
	name, err := microcloudwire.ParseNameReply(200, microcloudwire.SuccessName("micro01"))
	require.NoError(t, err)
	require.Equal(t, "micro01", name)
	for _, body := range []string{string(microcloudwire.Success()), `{"type":"sync","metadata":{"name":7}}`, `{"type":"sync","metadata":"micro01"}`, `{"type":"sync"}`, `{}`} {
		_, err := microcloudwire.ParseNameReply(200, []byte(body))
		require.ErrorIs(t, err, microcloudwire.ErrReply, body)
	}
	_, err = microcloudwire.ParseNameReply(400, microcloudwire.Failure(400, microcloudwire.TextNoSession))
	var reply *microcloudwire.ReplyError
	require.ErrorAs(t, err, &reply)
	require.Equal(t, microcloudwire.TextNoSession, reply.Text)
}

func TestStop(t *testing.T) {
	body, err := microcloudwire.EncodeStop("denied: not this one")
	require.NoError(t, err)
	require.Equal(t, `{"reason":"denied: not this one"}`, string(body))
	reason, err := microcloudwire.ParseStop(body)
	require.NoError(t, err)
	require.Equal(t, "denied: not this one", reason)
	reason, err = microcloudwire.ParseStop([]byte(`{"new":1,"reason":""}`))
	require.NoError(t, err)
	require.Empty(t, reason)
	for what, row := range map[string]struct{ body, field string }{
		"no reason": {`{}`, "reason"}, "a number": {`{"reason":1}`, "reason"}, "null": {`{"reason":null}`, "body"}, "twice": {`{"reason":"a","reason":"b"}`, "body"}, "nothing": {``, "body"},
	} {
		_, err := microcloudwire.ParseStop([]byte(row.body))
		var field *microcloudwire.FieldError
		require.ErrorAs(t, err, &field, what)
		require.Equal(t, row.field, field.Field, what)
	}
}
