package trust_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestJoinsCloseWhatTheyDialled: a join that is given up in the middle of a TLS handshake returns when its connection is
// closed, and one that was still being dialled is closed as soon as it is there.
func TestJoinsCloseWhatTheyDialled(t *testing.T) {
	for name, join := range map[string]func(*machine, context.Context, func(context.Context, string, string) (net.Conn, error)) error{
		"microtrust/2": func(m *machine, ctx context.Context, dial func(context.Context, string, string) (net.Conn, error)) error {
			_, err := trust.Join(ctx, "10.0.0.1:9443", trust.JoinConfig{
				Store: m.store, Passphrase: wrong(t), InsecureSkipFingerprint: true, Dial: dial,
			})
			return err
		},
		"MicroCloud-1.0": func(m *machine, ctx context.Context, dial func(context.Context, string, string) (net.Conn, error)) error {
			_, err := m.svc.JoinMicroCloud(ctx, "10.0.0.1", trust.MicroCloudJoinConfig{
				Address: "10.0.0.2", Passphrase: microCloudPassphrase(t, fieldPassphrase), InsecureSkipFingerprint: true, Dial: dial,
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := light(t, "micro02", certstore.NewMemoryBackend())
				var err error
				m.svc, err = trust.NewService(trust.Config{Store: m.store, MicroCloud: trust.MicroCloudRoles{Joiner: true}})
				require.NoError(t, err)
				require.NoError(t, m.svc.Attach(new(http.Server)))

				ctx, leave := context.WithCancelCause(t.Context())
				begun := newReluctant(func() { leave(errGone) })
				err = join(m, ctx, func(context.Context, string, string) (net.Conn, error) { return begun, nil })
				require.ErrorIs(t, err, errGone)
				require.True(t, begun.closed.Load(), "in the middle of a handshake")

				ctx, leave = context.WithCancelCause(t.Context())
				late := newReluctant(func() {})
				arrives := make(chan struct{})
				err = join(m, ctx, func(context.Context, string, string) (net.Conn, error) {
					leave(errGone)
					<-arrives
					return late, nil
				})
				require.ErrorIs(t, err, errGone, "and does not wait for it")
				close(arrives)
				<-time.After(time.Minute)
				require.True(t, late.closed.Load(), "after the join")
				require.Zero(t, late.written.Load())
			})
		})
	}
}

// reluctant is a connection that answers nothing, and takes a while to close.
type reluctant struct {
	net.Conn
	writing func()
	written atomic.Int64
	closed  atomic.Bool
}

func newReluctant(writing func()) *reluctant {
	near, _ := net.Pipe()
	return &reluctant{Conn: near, writing: writing}
}

func (c *reluctant) Write(p []byte) (int, error) {
	c.written.Add(1)
	c.writing()
	return c.Conn.Write(p)
}

func (c *reluctant) Close() error {
	<-time.After(time.Second)
	c.closed.Store(true)
	return c.Conn.Close()
}
