package trust_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// unhurried is a log handler that takes its time, except for the last record.
type unhurried struct {
	slog.Handler
	pause func()
}

func (h unhurried) Handle(ctx context.Context, r slog.Record) error {
	if r.Message != "service stopped" {
		h.pause()
	}
	return h.Handler.Handle(ctx, r)
}

// TestNothingIsUntoldWhenRunReturns: a program that ends right after Run has what happened before in its security log, also with a
// handler that takes its time; and the end of the service is the last of it.
func TestNothingIsUntoldWhenRunReturns(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(ctx context.Context, end func(), m *machine)
		told    []string
	}{
		"a session that was closed": {
			happens: func(_ context.Context, end func(), m *machine) {
				m.openAsking(session.Config{}).Close(nil)
				end()
			},
			told: []string{"session_expired", "authn_token_revoked"},
		},
		"a session that ends with the program": {
			happens: func(ctx context.Context, end func(), m *machine) {
				_, err := m.svc.Open(ctx, session.Config{})
				require.NoError(m.t, err)
				end()
			},
			told: []string{"session_expired", "authn_token_revoked"},
		},
		"a cluster that was founded": {
			happens: func(ctx context.Context, end func(), m *machine) {
				require.NoError(m.t, m.store.Bootstrap(ctx, "127.0.0.1:1"))
				end()
			},
			told: []string{"authz_admin"},
		},
		"a session that stays open": {
			happens: func(_ context.Context, end func(), m *machine) {
				m.openAsking(session.Config{})
				end()
			},
			told: []string{"session_created", "authn_token_created"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(session.DefaultTimeout + time.Minute) // what is open expires, and is told
				log := new(securityLog)
				m := light(t, "micro01", certstore.NewMemoryBackend())
				if test.told[0] != "authz_admin" {
					require.NoError(t, m.store.Bootstrap(t.Context(), "127.0.0.1:1"))
				}
				handler := unhurried{slog.NewJSONHandler(log, nil), func() { time.Sleep(time.Second) }}
				svc, err := trust.NewService(trust.Config{Store: m.store, Logger: slog.New(handler)})
				require.NoError(t, err)
				m.svc = svc
				ctx, end := context.WithCancel(t.Context())
				returned := make(chan struct{})
				go func() {
					defer close(returned)
					svc.Run(ctx)
				}()
				test.happens(ctx, end, m)
				<-returned
				var told []any
				for _, record := range log.all(t) {
					told = append(told, record["event"])
				}
				for _, event := range test.told {
					require.Contains(t, told, event)
				}
				require.Equal(t, "sys_shutdown", told[len(told)-1])
			})
		})
	}
}
