package certstore_test

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
)

const joinProtocol = "microtrust-test/1"

// loopbacks returns the addresses to test on: IPv4, and IPv6 where the machine has it.
func loopbacks(t testing.TB) []string {
	t.Helper()
	addresses := []string{"127.0.0.1:0"}
	if listener, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = listener.Close()
		addresses = append(addresses, "[::1]:0")
	} else {
		t.Logf("without IPv6: %v", err)
	}
	return addresses
}

// presenting returns a client that accepts every server and presents these certificates.
func presenting(protocol string, certificates ...tls.Certificate) *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true, Certificates: certificates}
	if protocol != "" {
		config.NextProtos = []string{protocol}
	}
	return config
}

func open() bool   { return true }
func closed() bool { return false }

// isStranger returns a check for a *StrangerError with this mark.
func isStranger(removed bool) func(error) bool {
	return func(err error) bool {
		var stranger *certstore.StrangerError
		return errors.As(err, &stranger) && stranger.Removed == removed && errors.Is(err, certstore.ErrStranger)
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func anyError(err error) bool { return err != nil }

func TestServerTLSRefuses(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	stranger, removed := mintIdentity(t, "micro03"), mintIdentity(t, "micro04")
	expired := mintIdentity(t, "micro05", validFrom(-2*time.Hour, -time.Hour))
	early := mintIdentity(t, "micro06", validFrom(time.Hour, 2*time.Hour))
	forged := member.TLSCertificate()
	forged.PrivateKey = stranger.TLSCertificate().PrivateKey
	p521 := newKeyOn(t, elliptic.P521())
	weak := tls.Certificate{Certificate: [][]byte{mintCertificate(t, "micro07", p521).Raw}, PrivateKey: p521}
	// A stranger who appends a member's certificate to its own has proved its own and nothing else.
	chained := stranger.TLSCertificate()
	chained.Certificate = append(chained.Certificate, member.Certificate().Raw)

	var members []*certstore.Member
	for _, id := range []*certstore.Identity{server, member, expired, early} {
		members = append(members, memberOf(id))
	}
	snapshot := certstore.NewSnapshot(certstore.ClusterID{1}, members, map[certstore.KeyID]struct{}{removed.KeyID(): {}}, certstore.Digest{})
	letIn := certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: open}}
	old := func(protocol string, id *certstore.Identity) *tls.Config {
		config := presenting(protocol, id.TLSCertificate())
		config.MaxVersion = tls.VersionTLS12
		return config
	}
	checked := 0
	for reason, row := range map[string]struct {
		cfg    certstore.ServerTLSConfig
		client *tls.Config
		want   func(error) bool
	}{
		"no certificate":                  {letIn, presenting(""), anyError},
		"no certificate, join protocol":   {letIn, presenting(joinProtocol), anyError},
		"stranger":                        {letIn, presenting("", stranger.TLSCertificate()), isStranger(false)},
		"stranger, http/1.1":              {letIn, presenting("http/1.1", stranger.TLSCertificate()), isStranger(false)},
		"stranger, h2":                    {letIn, presenting("h2", stranger.TLSCertificate()), isStranger(false)},
		"stranger, unknown protocol":      {letIn, presenting("other", stranger.TLSCertificate()), anyError},
		"stranger, nothing open":          {certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: closed}}, presenting(joinProtocol, stranger.TLSCertificate()), isStranger(false)},
		"stranger, another's gate open":   {certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: closed, "other": open}}, presenting(joinProtocol, stranger.TLSCertificate()), isStranger(false)},
		"stranger, nobody to ask":         {certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: nil}}, presenting(joinProtocol, stranger.TLSCertificate()), anyError},
		"stranger, empty protocol":        {certstore.ServerTLSConfig{Strangers: map[string]func() bool{"": open}}, presenting("", stranger.TLSCertificate()), isStranger(false)},
		"stranger, members' protocol":     {certstore.ServerTLSConfig{NextProtos: []string{joinProtocol}, Strangers: map[string]func() bool{joinProtocol: open}}, presenting(joinProtocol, stranger.TLSCertificate()), isStranger(false)},
		"stranger, h2 as protocol":        {certstore.ServerTLSConfig{Strangers: map[string]func() bool{"h2": open}}, presenting("h2", stranger.TLSCertificate()), isStranger(false)},
		"stranger, TLS 1.2":               {certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: open}, MinVersion: tls.VersionTLS12}, old(joinProtocol, stranger), isStranger(false)},
		"stranger, weak key":              {letIn, presenting(joinProtocol, weak), is(certstore.ErrCertificate)},
		"stranger, expired":               {letIn, presenting(joinProtocol, mintIdentity(t, "micro08", validFrom(-2*time.Hour, -time.Hour)).TLSCertificate()), is(certstore.ErrValidity)},
		"member's certificate appended":   {letIn, presenting("", chained), isStranger(false)},
		"member's certificate, other key": {letIn, presenting(joinProtocol, forged), anyError},
		"removed":                         {letIn, presenting("", removed.TLSCertificate()), isStranger(true)},
		"member, expired":                 {letIn, presenting("", expired.TLSCertificate()), is(certstore.ErrValidity)},
		"member, not valid yet":           {letIn, presenting("", early.TLSCertificate()), is(certstore.ErrValidity)},
		"member, TLS 1.2":                 {letIn, old("", member), anyError},
		"member, TLS 1.1 wished for":      {certstore.ServerTLSConfig{MinVersion: tls.VersionTLS11}, old("", member), anyError},
	} {
		t.Run(reason, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				serverErr, clientErr := exchange(t, address, certstore.ServerTLS(server, always(snapshot), row.cfg), row.client)
				require.True(t, row.want(serverErr), "server: %v", serverErr)
				require.Error(t, clientErr)
			}
		})
		checked++
	}
	require.GreaterOrEqual(t, checked, 22)
}

func TestServerTLSAccepts(t *testing.T) {
	server, member, stranger := mintIdentity(t, "micro01"), mintIdentity(t, "micro02"), mintIdentity(t, "micro03")
	letIn := certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: open}}
	old := presenting("", member.TLSCertificate())
	old.MaxVersion = tls.VersionTLS12
	for what, row := range map[string]struct {
		cfg    certstore.ServerTLSConfig
		client *tls.Config
	}{
		"member":                               {certstore.ServerTLSConfig{}, presenting("", member.TLSCertificate())},
		"member, h2":                           {letIn, presenting("h2", member.TLSCertificate())},
		"member, own protocol":                 {certstore.ServerTLSConfig{NextProtos: []string{"own"}}, presenting("own", member.TLSCertificate())},
		"member, join protocol":                {letIn, presenting(joinProtocol, member.TLSCertificate())},
		"member, join protocol, nothing open":  {certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: closed}}, presenting(joinProtocol, member.TLSCertificate())},
		"member, TLS 1.2 allowed":              {certstore.ServerTLSConfig{MinVersion: tls.VersionTLS12}, old},
		"stranger, join protocol, a door open": {letIn, presenting(joinProtocol, stranger.TLSCertificate())},
	} {
		t.Run(what, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				serverErr, clientErr := exchange(t, address, certstore.ServerTLS(server, always(snapshotOf(server, member)), row.cfg), row.client)
				require.NoError(t, serverErr)
				require.NoError(t, clientErr)
			}
		})
	}
}

// Every handshake asks for the snapshot of its moment, and none is resumed.
func TestServerTLSFollowsTheSnapshot(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	var current atomic.Pointer[certstore.Snapshot]
	config := certstore.ServerTLS(server, current.Load, certstore.ServerTLSConfig{MinVersion: tls.VersionTLS12})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := presenting("", member.TLSCertificate())
		client.MaxVersion, client.ServerName = version, "micro01"
		client.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		client.VerifyConnection = func(state tls.ConnectionState) error {
			require.False(t, state.DidResume)
			return nil
		}
		for i, row := range []struct {
			snapshot *certstore.Snapshot
			ok       bool
		}{
			{snapshotOf(), false}, {snapshotOf(server, member), true}, {snapshotOf(server, member), true}, {snapshotOf(server), false},
		} {
			current.Store(row.snapshot)
			serverErr, clientErr := exchange(t, "127.0.0.1:0", config, client)
			require.Equal(t, row.ok, serverErr == nil, "%d: %v", i, serverErr)
			require.Equal(t, row.ok, clientErr == nil, "%d: %v", i, clientErr)
		}
	}
}

func TestVerifyConnectionRefusesResumed(t *testing.T) {
	server, member := mintIdentity(t, "micro01"), mintIdentity(t, "micro02")
	current := always(snapshotOf(server, member))
	state := tls.ConnectionState{
		Version: tls.VersionTLS13, DidResume: true, NegotiatedProtocol: joinProtocol, PeerCertificates: []*x509.Certificate{member.Certificate()},
	}
	letIn := certstore.ServerTLSConfig{Strangers: map[string]func() bool{joinProtocol: open}}
	joiner, _ := certstore.JoinerTLS(mintIdentity(t, "micro03"), joinProtocol, func(tls.ConnectionState) error { return nil })
	for what, config := range map[string]*tls.Config{
		"server": certstore.ServerTLS(server, current, letIn),
		"client": certstore.ClientTLS(server, current, "micro02"),
		"joiner": joiner,
	} {
		resumed := state
		require.ErrorIs(t, config.VerifyConnection(resumed), certstore.ErrConnection, what)
		resumed.DidResume = false
		require.NoError(t, config.VerifyConnection(resumed), what)
		resumed.PeerCertificates = nil
		require.ErrorIs(t, config.VerifyConnection(resumed), certstore.ErrConnection, what)
		old := state
		old.DidResume, old.Version = false, tls.VersionTLS12
		require.Equal(t, what == "joiner", errors.Is(config.VerifyConnection(old), certstore.ErrConnection), what)
		require.True(t, config.SessionTicketsDisabled, what)
		require.Nil(t, config.ClientSessionCache, what)
	}
}

func TestClientTLSRefuses(t *testing.T) {
	self, server, other := mintIdentity(t, "micro01"), mintIdentity(t, "micro02"), mintIdentity(t, "micro03")
	expired := mintIdentity(t, "micro04", validFrom(-2*time.Hour, -time.Hour))
	twin, stranger := mintIdentity(t, "micro02"), mintIdentity(t, "micro02")
	snapshot := snapshotOf(self, server, other, expired)
	forged := server.TLSCertificate()
	forged.PrivateKey = stranger.TLSCertificate().PrivateKey
	serve := func(certificate tls.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAnyClientCert}
	}
	old := serve(server.TLSCertificate())
	old.MaxVersion = tls.VersionTLS12
	isWrong := func(err error) bool {
		var wrong *certstore.WrongMemberError
		return errors.As(err, &wrong) && wrong.Want == "micro02" && wrong.Got == "micro03" && errors.Is(err, certstore.ErrWrongMember)
	}
	for reason, row := range map[string]struct {
		snapshot *certstore.Snapshot
		name     string
		server   *tls.Config
		want     func(error) bool
	}{
		"stranger with the name":    {snapshot, "micro02", serve(stranger.TLSCertificate()), isStranger(false)},
		"another member":            {snapshot, "micro02", serve(other.TLSCertificate()), isWrong},
		"unknown name":              {snapshot, "micro09", serve(server.TLSCertificate()), is(certstore.ErrUnknownMember)},
		"empty name":                {snapshot, "", serve(server.TLSCertificate()), is(certstore.ErrUnknownMember)},
		"name of two":               {snapshotOf(self, server, twin), "micro02", serve(server.TLSCertificate()), is(certstore.ErrNameTaken)},
		"nobody trusted":            {snapshotOf(), "micro02", serve(server.TLSCertificate()), isStranger(false)},
		"expired":                   {snapshot, "micro04", serve(expired.TLSCertificate()), is(certstore.ErrValidity)},
		"member's with another key": {snapshot, "micro02", serve(forged), anyError},
		"TLS 1.2":                   {snapshot, "micro02", old, anyError},
	} {
		t.Run(reason, func(t *testing.T) {
			for _, address := range loopbacks(t) {
				client := certstore.ClientTLS(self, always(row.snapshot), row.name)
				present, presented := client.GetClientCertificate, false
				client.GetClientCertificate = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
					presented = true
					return present(info)
				}
				serverErr, clientErr := exchange(t, address, row.server, client)
				require.True(t, row.want(clientErr), "client: %v", clientErr)
				require.Error(t, serverErr)
				require.False(t, presented, "the client's certificate went to a server that was refused")
			}
		})
	}
}

func TestClientTLSAccepts(t *testing.T) {
	self := mintIdentity(t, "micro01")
	for kind, key := range newKeys(t) {
		server := identityOf(t, key)
		current := always(snapshotOf(server))
		for _, address := range loopbacks(t) {
			serverErr, clientErr := exchange(t, address,
				certstore.ServerTLS(server, always(snapshotOf(self)), certstore.ServerTLSConfig{}), certstore.ClientTLS(self, current, "micro01"))
			require.NoError(t, serverErr, kind)
			require.NoError(t, clientErr, kind)
		}
	}
}

// While a machine rotates its key, its old and its new certificate answer to the name.
func TestClientTLSAcceptsRotation(t *testing.T) {
	self, before, after := mintIdentity(t, "micro01"), mintIdentity(t, "micro02"), mintIdentity(t, "micro02")
	renewed := memberOf(after)
	certstore.SetLineage(renewed, before.KeyID(), before.KeyID())
	snapshot := certstore.NewSnapshot(certstore.ClusterID{1}, []*certstore.Member{memberOf(self), memberOf(before), renewed}, nil, certstore.Digest{})
	for _, server := range []*certstore.Identity{before, after} {
		serverErr, clientErr := exchange(t, "127.0.0.1:0",
			certstore.ServerTLS(server, always(snapshot), certstore.ServerTLSConfig{}), certstore.ClientTLS(self, always(snapshot), "micro02"))
		require.NoError(t, serverErr)
		require.NoError(t, clientErr)
	}
}
