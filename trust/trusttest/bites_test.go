package trusttest_test

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/trust/trusttest"
)

// daemon returns what serves, with something wrong that edit does.
func daemon(edit func(m *trusttest.Machine, srv *http.Server, mux *http.ServeMux, svc *trust.Service)) func(*trusttest.Machine) (*trust.Service, func(), error) {
	return func(m *trusttest.Machine) (*trust.Service, func(), error) {
		svc, err := trust.NewService(trust.Config{Store: m.Store, Sync: 20 * time.Second})
		if err != nil {
			return nil, nil, err
		}
		mux := http.NewServeMux()
		srv := &http.Server{Handler: mux, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
		if err := svc.Attach(srv); err != nil {
			return nil, nil, err
		}
		edit(m, srv, mux, svc)
		go srv.ServeTLS(m.Store.Guard(m.Listener), "", "")
		return svc, func() { srv.Close() }, nil
	}
}

// TestBites: on a network on which almost nothing goes wrong, each check finds what it is for.
func TestBites(t *testing.T) {
	members := func(mux *http.ServeMux, svc *trust.Service) { mux.Handle(trust.MemberPath, svc.Handler()) }
	for _, tt := range []struct {
		wrong string
		finds string // nothing, if empty
		edit  func(*trusttest.Machine, *http.Server, *http.ServeMux, *trust.Service)
	}{
		{"nothing", "", func(_ *trusttest.Machine, _ *http.Server, mux *http.ServeMux, svc *trust.Service) { members(mux, svc) }},
		{"members do not exchange", "the sets do not become the same", func(m *trusttest.Machine, _ *http.Server, _ *http.ServeMux, _ *trust.Service) {
			if m.Name != "m2" {
				return
			}
			go func() {
				for s := range m.Store.Watch(m.Context()) {
					if s.Len() > 0 {
						m.Store.UpdateProfile(m.Context(), certstore.Profile{Attributes: map[string]string{"only": "here"}})
						return
					}
				}
			}()
		}},
		{"trust.MemberPath is not mounted", "does not exchange with", func(*trusttest.Machine, *http.Server, *http.ServeMux, *trust.Service) {}},
		{"strangers get in", "got an answer that is not the refusal", func(m *trusttest.Machine, srv *http.Server, mux *http.ServeMux, svc *trust.Service) {
			members(mux, svc)
			srv.TLSConfig = &tls.Config{
				Certificates: []tls.Certificate{m.Store.Identity().TLSCertificate()}, ClientAuth: tls.RequestClientCert, NextProtos: srv.TLSConfig.NextProtos,
			}
		}},
		{"nobody can join", "cannot join although nothing goes wrong any more", func(m *trusttest.Machine, srv *http.Server, mux *http.ServeMux, svc *trust.Service) {
			members(mux, svc)
			if m.Name == "m1" {
				delete(srv.TLSNextProto, trust.Protocol)
			}
		}},
		{"a machine lets somebody in by itself", "whom nobody let in", func(m *trusttest.Machine, _ *http.Server, mux *http.ServeMux, svc *trust.Service) {
			members(mux, svc)
			if id := newIdentity(t, "friend"); m.Name == "m1" {
				_, err := m.Store.Admit(m.Context(), certstore.AdmitRequest{Certificate: id.Certificate(), Name: "friend"})
				require.NoError(t, err)
			}
		}},
		{"a machine was in another cluster", "cannot join", func(m *trusttest.Machine, _ *http.Server, mux *http.ServeMux, svc *trust.Service) {
			members(mux, svc)
			if m.Name == "m2" {
				require.NoError(t, m.Store.Bootstrap(m.Context()))
			}
		}},
		{"a machine takes everything for granted", "has stored something", func(m *trusttest.Machine, _ *http.Server, mux *http.ServeMux, svc *trust.Service) {
			members(mux, svc)
			if m.Name == "m2" {
				require.NoError(t, m.Store.Bootstrap(m.Context()))
			}
		}},
		{"a machine has another passphrase", "1 wrong proofs were counted", func(m *trusttest.Machine, _ *http.Server, mux *http.ServeMux, svc *trust.Service) {
			members(mux, svc)
			if m.Name != "m2" {
				return
			}
			go func() {
				p, err := hmacauth.ParsePassphrase("quite another passphrase")
				if err == nil {
					trust.Join(m.Context(), "192.0.2.1:9443", trust.JoinConfig{Store: m.Store, Passphrase: p, InsecureSkipFingerprint: true, Wait: time.Second})
				}
			}()
		}},
	} {
		t.Run(tt.wrong, func(t *testing.T) {
			slow := trusttest.Fate{From: "m3", To: "m1", Fault: trusttest.Delay, Wait: 3 * time.Second}
			_, err := trusttest.Play(t, trusttest.Impatient(trusttest.Config{Serve: daemon(tt.edit)}), trusttest.Schedule{Fates: []trusttest.Fate{slow}})
			if tt.finds == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.finds)
		})
	}
}
