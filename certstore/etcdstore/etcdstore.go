package etcdstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/microtrust/microtrust/certstore"
)

const (
	maxPrefix      = 256
	defaultTimeout = 30 * time.Second
)

// Config says where in etcd the trust store is.
type Config struct {
	// Client speaks with etcd. Required. It stays the caller's: close it after the store. Set its DialKeepAliveTime, or a
	// connection that is lost without a sign goes unnoticed while watching.
	Client *clientv3.Client
	// Prefix is what the keys begin with, for instance "/microtrust": printable UTF-8 of at most 256 bytes, not ending in a
	// slash. Required. Nothing else may be stored beneath it.
	Prefix string
	// Timeout is how long a request is repeated while etcd does not answer it, unless the context ends earlier. Zero is
	// 30 seconds, negative is refused. A Load or Append consists of as many requests as its size demands.
	Timeout time.Duration
	// Logger is told what a watch cannot report otherwise: damage, and what it waits for. Nil discards.
	Logger *slog.Logger
}

func (cfg *Config) check() error {
	switch p := cfg.Prefix; {
	case cfg.Client == nil:
		return fmt.Errorf("%w: field Client is required", ErrConfig)
	case p == "" || len(p) > maxPrefix || !utf8.ValidString(p) || strings.ContainsFunc(p, isUnprintable) || strings.HasSuffix(p, "/"):
		return fmt.Errorf("%w: field Prefix must be 1 to %d bytes of printable text that do not end in a slash", ErrConfig, maxPrefix)
	case cfg.Timeout < 0:
		return fmt.Errorf("%w: field Timeout: %v is negative", ErrConfig, cfg.Timeout)
	}
	return nil
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

// New returns a backend over etcd. It does no I/O. Many machines and processes may have backends on one prefix at a time;
// each backend serves one store. The error wraps ErrConfig.
func New(cfg Config) (certstore.Backend, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	b := &backend{client: cfg.Client, keys: keys(cfg.Prefix), timeout: cfg.Timeout, log: cfg.Logger}
	b.life, b.end = context.WithCancel(context.Background())
	return b, nil
}

// backend is the trust store under a prefix of etcd. See docs/trust-store.md, "etcd".
type backend struct {
	client  *clientv3.Client
	keys    keys
	timeout time.Duration
	log     *slog.Logger
	loaded  atomic.Int64    // revision that the first Load returned; 0 before
	life    context.Context // ends with Close
	end     context.CancelFunc
}

// Close ends watches. The client stays open: it is the caller's.
func (b *backend) Close() error {
	b.end()
	return nil
}
