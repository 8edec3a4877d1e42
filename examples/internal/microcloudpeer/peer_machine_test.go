package microcloudpeer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

const (
	discoveryVersion = "2.0"
	defaultPort      = "9443"
	joinPath         = "/1.0/session/join"
	stopPath         = "/1.0/session/stop"
	namePath         = "/core/1.0"
	maxBody          = 1 << 20
)

// intent is what both sides send. The order of its fields is that of the wire.
type intent struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Address     string            `json:"address"`
	Certificate string            `json:"certificate"`
	Services    map[string]string `json:"services"`
}

// leaf returns the certificate that an intent carries.
func (i intent) leaf() (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(i.Certificate))
	if block == nil {
		return nil, errors.New("the intent carries no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// signed is a body as it came, and the header that came with it.
type signed struct {
	body   []byte
	header string
}

type stopRequest struct {
	Reason string `json:"reason"`
}

// envelope is what every answer is in.
type envelope struct {
	Type       string          `json:"type"`
	Status     string          `json:"status"`
	StatusCode int             `json:"status_code"`
	Operation  string          `json:"operation"`
	ErrorCode  int             `json:"error_code"`
	Error      string          `json:"error"`
	Metadata   json.RawMessage `json:"metadata"`
}

// machine is one daemon: a certificate, a server, and requests to others.
type machine struct {
	name, address string
	services      map[string]string
	passphrase    string
	certificate   tls.Certificate
	protocols     []string // ALPN of its requests; nil like most in the field
	source        net.IP   // where its requests come from; nil: chosen by the system
	server        *http.Server
}

// newMachine makes a daemon that listens on a port of its own on loopback.
func newMachine(name, passphrase string, services map[string]string) (*machine, error) {
	certificate, err := newCertificate(name)
	if err != nil {
		return nil, err
	}
	return &machine{name: name, services: services, passphrase: passphrase, certificate: certificate}, nil
}

// newCertificate makes a self-signed server certificate like those in the field: P-384, ten years, for servers alone.
func newCertificate(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"LXD"}, CommonName: "root@" + name},
		NotBefore:             time.Now().Add(-time.Minute),
		NotAfter:              time.Now().AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{name},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// serve answers requests with the handler until close. Certificates of clients are asked for and not required.
func (m *machine) serve(handler http.Handler) error {
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{m.certificate},
		ClientAuth:   tls.RequestClientCert,
	})
	if err != nil {
		return err
	}
	m.address = ln.Addr().String()
	m.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go m.server.Serve(ln)
	return nil
}

func (m *machine) close() {
	if m.server != nil {
		m.server.Close()
	}
}

// intent returns this machine's own intent, as bytes that are sent and signed as they are.
func (m *machine) intent() []byte {
	body, err := json.Marshal(intent{
		Name:        m.name,
		Version:     discoveryVersion,
		Address:     m.address,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.certificate.Leaf.Raw})),
		Services:    m.services,
	})
	if err != nil {
		panic(err) // texts in a struct
	}
	return body
}

// sign returns the header for a body, under this machine's passphrase.
func (m *machine) sign(body []byte) string { return sign(m.passphrase, body) }

// request is one request to another daemon.
type request struct {
	method, address, path string
	pin                   *x509.Certificate // nil: whoever answers
	own                   bool              // shows the own certificate
	body                  []byte
	authorization         string
}

// send sends a request over a connection of its own. It returns the envelope's metadata, or a *refusal.
func (m *machine) send(ctx context.Context, r request) (json.RawMessage, error) {
	client := &http.Client{Transport: m.transport(r.pin, r.own)}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, r.method, "https://"+withPort(r.address)+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if len(r.body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.authorization != "" {
		req.Header.Set("Authorization", r.authorization)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, &refusal{resp.StatusCode, fmt.Sprintf("no envelope: %q", text)}
	}
	if resp.StatusCode != http.StatusOK || e.Type != "sync" || e.StatusCode != http.StatusOK {
		return nil, &refusal{resp.StatusCode, e.Error}
	}
	return e.Metadata, nil
}

func (m *machine) transport(pin *x509.Certificate, own bool) *http.Transport {
	config := m.clientConfig(pin, own)
	config.NextProtos = nil // the transport's to say
	return &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: len(m.protocols) > 0, DialContext: m.dialer().DialContext}
}

func (m *machine) dialer() *net.Dialer {
	if m.source == nil {
		return &net.Dialer{}
	}
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: m.source}}
}

// clientConfig accepts the pinned certificate alone, or whoever answers when there is none.
func (m *machine) clientConfig(pin *x509.Certificate, own bool) *tls.Config {
	config := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         m.protocols,
		InsecureSkipVerify: true, // pinned below
		VerifyConnection: func(state tls.ConnectionState) error {
			if pin != nil && !state.PeerCertificates[0].Equal(pin) {
				return errOtherCertificate
			}
			return nil
		},
	}
	if own {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.certificate, nil }
	}
	return config
}

var errOtherCertificate = errors.New("the other side shows another certificate")

// shownBy opens TLS without verifying, says nothing, and returns the certificate that was shown.
func (m *machine) shownBy(ctx context.Context, address string) (*x509.Certificate, error) {
	conn, err := (&tls.Dialer{NetDialer: m.dialer(), Config: m.clientConfig(nil, false)}).DialContext(ctx, "tcp", withPort(address))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// withPort adds the default port to an address without one.
func withPort(address string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(address, defaultPort)
}

func fingerprintOf(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// shownIn returns the certificate that a client proved in a request, nil if none.
func shownIn(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

func answer(w http.ResponseWriter, metadata any) {
	text, err := json.Marshal(metadata)
	if err != nil {
		panic(err) // maps of texts
	}
	write(w, http.StatusOK, envelope{Type: "sync", Status: "Success", StatusCode: http.StatusOK, Metadata: text})
}

// refuse answers with a *refusal; any other error is the request's fault.
func refuse(w http.ResponseWriter, err error) {
	r := &refusal{http.StatusBadRequest, err.Error()}
	errors.As(err, &r)
	write(w, r.status, envelope{Type: "error", ErrorCode: r.status, Error: r.text, Metadata: json.RawMessage("null")})
}

func write(w http.ResponseWriter, status int, e envelope) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(e)
}
