package trust_test

import (
	"strings"
	"testing"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/metrics"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
	"github.com/stretchr/testify/require"
)

// TestOwnTroubleIsNoMembersFault: a machine that cannot store what a member sends says so in its own log, accuses nobody of a
// message that is not valid, and takes it when it can.
func TestOwnTroubleIsNoMembersFault(t *testing.T) {
	disk, log, registry := newSick(), new(securityLog), metrics.NewRegistry()
	cfg := brisk
	cfg.Logger, cfg.Metrics = log.logger(), registry
	first := light(t, "micro01", disk).serve(cfg)
	require.NoError(t, first.store.Bootstrap(t.Context(), first.addr))
	second := light(t, "micro02", certstore.NewMemoryBackend()).serve(brisk)
	_, err := trust.Join(t.Context(), first.addr, second.joinConfig(first.open(session.Config{}), first))
	require.NoError(t, err)

	disk.sick.Store(true)
	require.NoError(t, second.store.UpdateProfile(t.Context(), certstore.Profile{
		Addresses: []string{second.addr}, Attributes: map[string]string{"storage": "19"},
	}))
	second.run()
	require.Eventually(t, func() bool {
		return strings.Contains(lazily(log).String(), "no space left on device")
	}, time.Minute, 5*time.Millisecond)
	require.Positive(t, registry.Counter(metrics.Exchanges, "unanswered"))
	require.Empty(t, log.events(t, "input_validation_fail"))

	disk.sick.Store(false)
	require.Eventually(t, func() bool {
		return first.store.Snapshot().Digest() == second.store.Snapshot().Digest()
	}, time.Minute, 5*time.Millisecond)
	require.Empty(t, log.events(t, "input_validation_fail"))
}
