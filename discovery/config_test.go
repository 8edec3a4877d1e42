package discovery_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/discovery"
)

func goodConfig() discovery.Config {
	return discovery.Config{
		Name: "micro01", Addresses: []string{"10.0.0.1:9443"}, Interfaces: []string{"eth0"}, Open: func() bool { return true },
	}
}

func TestAnnouncerIsRefused(t *testing.T) {
	many := func(n int, format string) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf(format, i+1))
		}
		return list
	}
	rows := []struct {
		reason string
		change func(*discovery.Config)
		field  bool // also a *certstore.FieldError
	}{
		{"no name", func(c *discovery.Config) { c.Name = "" }, true},
		{"name in upper case", func(c *discovery.Config) { c.Name = "Micro01" }, true},
		{"no address", func(c *discovery.Config) { c.Addresses = nil }, false},
		{"address without port", func(c *discovery.Config) { c.Addresses = []string{"10.0.0.1"} }, true},
		{"an address twice", func(c *discovery.Config) { c.Addresses = []string{"10.0.0.1:1", "10.0.0.1:1"} }, false},
		{"nine addresses", func(c *discovery.Config) { c.Addresses = many(9, "10.0.0.%d:1") }, false},
		{"more than fits", func(c *discovery.Config) {
			c.Addresses = many(2, strings.Repeat("a", 60)+"."+strings.Repeat("b", 60)+"."+strings.Repeat("c", 60)+".x%d:9443")
		}, false},
		{"no interface", func(c *discovery.Config) { c.Interfaces = nil }, false},
		{"33 interfaces", func(c *discovery.Config) { c.Interfaces = many(33, "eth%d") }, false},
		{"no Open", func(c *discovery.Config) { c.Open = nil }, false},
	}
	for _, row := range rows {
		cfg := goodConfig()
		row.change(&cfg)
		_, err := discovery.NewAnnouncer(cfg)
		require.ErrorIs(t, err, discovery.ErrConfig, row.reason)
		var field *certstore.FieldError
		require.Equal(t, row.field, errors.As(err, &field), row.reason)
	}
	_, err := discovery.NewAnnouncer(goodConfig())
	require.NoError(t, err)

	// The documentation promises that this fits.
	cfg := goodConfig()
	cfg.Name = strings.Repeat("a", 40)
	cfg.Addresses = many(7, "[1111:2222:3333:4444:5555:6666:7777:111%d]:65535")
	_, err = discovery.NewAnnouncer(cfg)
	require.NoError(t, err)
}

func TestSearchIsRefused(t *testing.T) {
	for reason, cfg := range map[string]discovery.SearchConfig{
		"no interface":   {},
		"too often":      {Interface: "eth0", Every: 99 * time.Millisecond},
		"negative":       {Interface: "eth0", Every: -1},
		"negative bound": {Interface: "eth0", MaxFound: -1},
		"no bound":       {Interface: "eth0", MaxFound: 4097},
	} {
		_, err := discovery.NewSearch(cfg)
		require.ErrorIs(t, err, discovery.ErrConfig, reason)
	}
	_, err := discovery.NewSearch(discovery.SearchConfig{Interface: "eth0"})
	require.NoError(t, err)
}

// TestWhatIsRemembered: the memory of an announcer is bounded, and forgets what is oldest.
func TestWhatIsRemembered(t *testing.T) {
	var recent discovery.Recent
	for i := range 5000 {
		require.False(t, recent.Again(i), i)
		require.True(t, recent.Again(i), i)
	}
	require.Equal(t, 1024, recent.Len())
	require.True(t, recent.Again(5000-1024))
	require.False(t, recent.Again(0))
	require.False(t, recent.Again(5000-1024), "forgotten for 0")
	require.Equal(t, 1024, recent.Len())
}

// TestHostsOfOneLinkAreToldApart: IPv6 hosts share the first 64 bits, which is what package ratelimit looks at.
func TestHostsOfOneLinkAreToldApart(t *testing.T) {
	for from, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1", "fe80::1:2:3:4%eth0": "1:2:3:4:fe80::", "2001:db8::5": "0:0:0:5:2001:db8::",
	} {
		require.Equal(t, netip.MustParseAddr(want), discovery.Host(netip.MustParseAddr(from)), from)
	}
}
