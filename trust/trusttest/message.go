package trusttest

import (
	"bytes"
	"net/http"
	"strings"

	"github.com/microtrust/microtrust/hmacauth"
)

// spliced returns a message with the body of another one, or with its header.
func spliced(m, other message, size int) message {
	if size%2 == 1 {
		m.mac = other.mac
	} else {
		m.body = other.body
	}
	return m
}

// macOf returns the header of a reply with the MAC of a request.
func macOf(request message) string {
	creds, err := hmacauth.ParseAuthorization(request.mac)
	if err != nil {
		return ""
	}
	return hmacauth.FormatAuthenticationInfo(creds.MAC)
}

// authorizationOf returns the header of a request with the MAC of a reply.
func authorizationOf(request, reply message) string {
	creds, err := hmacauth.ParseAuthorization(request.mac)
	if err != nil {
		return ""
	}
	if creds.MAC, err = hmacauth.ParseAuthenticationInfo(reply.mac); err != nil {
		return ""
	}
	creds.Sequence++
	return hmacauth.FormatAuthorization(creds)
}

// forged is in what the attacker makes up.
const forged = "forged"

// altered changes one thing in a message: its body, its MAC, its sequence number, where it goes or what it says that it is.
func altered(m message, how int) message {
	m.body = bytes.Clone(m.body)
	creds, err := hmacauth.ParseAuthorization(m.mac)
	signed := err == nil
	switch how % 10 {
	case 0:
		m.body = replaced(m.body, "approved", "pending")
	case 1:
		m.body = replaced(m.body, `"name":"m`, `"name":"x`) // a machine of Run is another one
	case 2: // a digit of the last hexadecimal number or word of base64
		if i := bytes.LastIndexAny(m.body, "0123456789"); i >= 0 {
			m.body[i] = '0' + (m.body[i]-'0'+1)%10
		}
	case 3: // forged; to a request, nothing is added that means anything
		if m.body = replaced(m.body, `{`, `{"ext":{},`); m.status != 0 {
			m.body = []byte(`{"state":"refused","code":"denied","reason":"` + forged + `"}`)
		}
	case 4: // the last digit of the MAC
		if digits, last := []byte(m.mac), len(m.mac)-1; last >= 0 {
			digits[last] = "10"[min(digits[last]-'0', 1)]
			m.mac = string(digits)
		}
	case 5:
		if creds.Sequence++; signed {
			m.mac = hmacauth.FormatAuthorization(creds)
		}
	case 6:
		m.path = strings.NewReplacer("/result", "/done", "/done", "/abort", "/join", "/result").Replace(m.path)
		if m.status == http.StatusOK {
			m.status = http.StatusAccepted
		}
	case 7:
		m.mac = ""
	case 8: // the reason why somebody leaves
		m.body = replaced(m.body, `"reason":"`, `"reason":"`+forged)
	case 9: // somebody leaves who did not say so
		if at := strings.LastIndex(m.path, "/"); signed && at >= 0 {
			m.path, m.body = m.path[:at]+"/"+hmacauth.EndpointAbort, []byte(`{"reason":"`+forged+`"}`)
		}
	}
	return m
}

// replaced replaces the first of a text in a body.
func replaced(body []byte, from, to string) []byte {
	return bytes.Replace(body, []byte(from), []byte(to), 1)
}
