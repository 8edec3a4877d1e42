package trusttest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/microtrust/microtrust/certstore"
)

// most of a body that somebody in the middle reads, in bytes.
const maxBody = 1 << 20

// talk is a connection whose TLS is ended in the middle: requests and replies, one after the other.
type talk struct {
	link     *link
	near     *tls.Conn
	far      *tls.Conn
	requests *bufio.Reader
	replies  *bufio.Reader
	n        int // exchanges before this one
	last     heard
	late     *message // a reply that comes in place of the next one
}

// message is a request or a reply.
type message struct {
	method, path string // of a request
	status       int    // of a reply
	mac          string // the header that has it: Authorization, or Authentication-Info
	body         []byte
}

// heard is an exchange.
type heard struct {
	link           *link
	request, reply message
}

// middle ends TLS at both ends and passes messages on.
func (l *link) middle() {
	defer l.forget()
	defer l.end()
	t, err := l.openTLS()
	if err != nil {
		return
	}
	for t.exchange() {
		t.n++
	}
}

// openTLS shows the attacker's certificate at both ends, or those of the machines where their keys are stolen.
func (l *link) openTLS() (*talk, error) {
	n := l.network
	asServer, asClient := n.attacker, n.attacker
	if n.schedule.Stolen && l.from.identity != nil && l.to.identity != nil {
		asServer, asClient = l.to.identity, l.from.identity
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{asServer.TLSCertificate()},
		ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
	}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := config.Clone()
		own.NextProtos = slices.DeleteFunc(slices.Clone(hello.SupportedProtos), func(p string) bool { return p == "h2" })
		return own, nil
	}
	near := tls.Server(l.near, config)
	if err := near.HandshakeContext(n.ctx); err != nil {
		return nil, err
	}
	protocol := near.ConnectionState().NegotiatedProtocol
	toFar, _ := certstore.JoinerTLS(asClient, protocol, func(tls.ConnectionState) error { return nil })
	far := tls.Client(l.far, toFar)
	if err := far.HandshakeContext(n.ctx); err != nil {
		return nil, err
	}
	return &talk{link: l, near: near, far: far, requests: bufio.NewReader(near), replies: bufio.NewReader(far)}, nil
}

// exchange passes on one request and its reply, in the way that the fate has for it, and reports whether another may follow.
func (t *talk) exchange() bool {
	fate := t.link.fate
	if fate.At != t.n {
		fate.Fault = Middle
	} else {
		t.link.came()
	}
	request, err := t.readRequest()
	if err != nil {
		return false
	}
	t.link.network.count(t.link)
	if !t.link.network.together(t.link.network.ctx, t.link) {
		return false
	}
	other, known := t.link.network.remember(t.link, request.path)
	reply, ok := t.ask(fate, request, other.request, known)
	if !ok {
		return false
	}
	now := heard{t.link, request, reply}
	t.link.network.hear(now)
	before := t.last
	t.last = now
	return t.answer(fate, now, before, other.reply, known)
}

// ask sends the request, or what comes in its place, and returns what is the reply to it.
func (t *talk) ask(fate Fate, request, other message, known bool) (message, bool) {
	if fate.Toward == Server {
		switch fate.Fault {
		case MessageDrop:
			return message{}, false
		case MessageReflect:
			return message{status: http.StatusOK, mac: macOf(request), body: request.body}, true
		case MessageRepeat:
			if _, ok := t.send(request); !ok {
				return message{}, false
			}
		case MessageSplice:
			if known {
				request = spliced(request, other, fate.Size)
			}
		case MessageAlter:
			request = altered(request, fate.Size)
		}
	}
	reply, ok := t.send(request)
	if ok && fate.Toward == Server && fate.Fault == MessageReorder && t.n > 0 {
		_, ok = t.send(t.last.request)
	}
	return reply, ok
}

// answer sends the reply, or what comes in its place.
func (t *talk) answer(fate Fate, now, before heard, other message, known bool) bool {
	reply := now.reply
	if t.late != nil {
		reply, t.late = *t.late, nil
	}
	if fate.Toward == Client {
		switch fate.Fault {
		case MessageDrop:
			return false
		case MessageReflect:
			back := now.request
			back.mac, back.body = authorizationOf(now.request, reply), reply.body
			if _, ok := t.send(back); !ok {
				return false
			}
		case MessageRepeat:
			t.late = &reply
		case MessageReorder:
			if t.n > 0 {
				t.late = &reply
				return t.reply(before.reply)
			}
		case MessageSplice:
			if known {
				reply = spliced(reply, other, fate.Size)
			}
		case MessageAlter:
			reply = altered(reply, fate.Size)
		}
	}
	return t.reply(reply)
}

func (t *talk) readRequest() (m message, err error) {
	r, err := http.ReadRequest(t.requests)
	if err != nil {
		return m, err
	}
	m = message{method: r.Method, path: r.URL.Path, mac: r.Header.Get("Authorization")}
	m.body, err = io.ReadAll(io.LimitReader(r.Body, maxBody))
	return m, err
}

// send sends a request, and returns the reply.
func (t *talk) send(m message) (message, bool) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: member\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", m.method, m.path, len(m.body))
	if m.mac != "" {
		fmt.Fprintf(&b, "Authorization: %s\r\n", m.mac)
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	if _, err := t.far.Write(b.Bytes()); err != nil {
		return message{}, false
	}
	resp, err := http.ReadResponse(t.replies, nil)
	if err != nil {
		return message{}, false
	}
	defer resp.Body.Close()
	reply := message{status: resp.StatusCode, mac: resp.Header.Get("Authentication-Info")}
	reply.body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
	return reply, err == nil
}

func (t *talk) reply(m message) bool {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", m.status, len(m.body))
	if m.mac != "" {
		fmt.Fprintf(&b, "Authentication-Info: %s\r\n", m.mac)
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	_, err := t.near.Write(b.Bytes())
	return err == nil
}

// hear keeps an exchange, for others to be spliced with.
func (n *Network) hear(h heard) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.messages[h.request.path] = append(n.messages[h.request.path], h)
}

// remember returns the newest exchange with an endpoint over another connection than this one.
func (n *Network) remember(l *link, path string) (heard, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range slices.Backward(n.messages[path]) {
		if h.link != l {
			return h, true
		}
	}
	return heard{}, false
}
