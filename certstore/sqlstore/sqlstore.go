package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/contain"
)

// Defaults of Config.
const (
	defaultTable    = "microtrust"
	defaultPoll     = 250 * time.Millisecond
	defaultPatience = 30 * time.Second
)

// maxTable is the length of a Config.Table in bytes.
const maxTable = 32

// Config says where statements are kept. It is copied.
type Config struct {
	// DB is the database. It stays the caller's, who closes it after the backend. Required.
	DB *sql.DB
	// Table is what the names of the tables begin with: up to 32 of a–z, 0–9 and _, a letter first, not "sqlite_". One
	// database can hold several stores under different names. Empty is "microtrust": microtrust_head and microtrust_statements.
	Table string
	// Poll is how often the database is asked for what others appended: one read of one row. Zero is 250 ms. Negative is refused.
	Poll time.Duration
	// Notify asks the database at once, for embedders who learn of changes: send to it without waiting (it may have a buffer
	// of one). It serves one backend. While the database is out of reach, it is asked again each second until it answers. Nil:
	// polling alone.
	Notify <-chan struct{}
	// Patience is how long one Load or Append tries again while the database is locked or out of reach, if its context does
	// not end before. Zero is 30 s. Negative is refused.
	Patience time.Duration
	// Transient reports errors of the driver after which it is worth trying again, beside those that are known:
	// driver.ErrBadConn and what SQLite and dqlite say of locks, leaders and connections. It may be called at once. Nil: none.
	Transient func(error) bool
	// Logger is told when the database cannot be watched or is found damaged while it is. Nil discards.
	Logger *slog.Logger
}

// New returns a backend that keeps statements in an SQL database. It does no I/O: the first use makes the tables, or
// brings those of an older version up to date. Load and Append fail with ErrNewerSchema, ErrForeignTable, ErrCorrupt,
// certstore.ErrOtherCluster, certstore.ErrClosed after Close, those of contexts and those of the driver. The error of
// New wraps ErrConfig.
func New(cfg Config) (certstore.Backend, error) {
	if cfg.DB == nil {
		return nil, fmt.Errorf("%w: DB is required", ErrConfig)
	}
	if cfg.Poll < 0 || cfg.Patience < 0 {
		return nil, fmt.Errorf("%w: Poll and Patience must not be negative", ErrConfig)
	}
	if cfg.Table == "" {
		cfg.Table = defaultTable
	}
	if err := checkTable(cfg.Table); err != nil {
		return nil, err
	}
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Patience == 0 {
		cfg.Patience = defaultPatience
	}
	cfg.Logger = contain.Logger(cfg.Logger)
	b := &backend{cfg: cfg, sql: newQueries(cfg.Table), migrations: migrations(cfg.Table)}
	b.open, b.stop = context.WithCancel(context.Background())
	return b, nil
}

func checkTable(name string) error {
	plain, err := regexp.MatchString(`^[a-z][a-z0-9_]*$`, name)
	if err != nil || !plain || len(name) > maxTable || strings.HasPrefix(name, "sqlite_") {
		return fmt.Errorf("%w: Table %.40q must be at most %d of a-z, 0-9 and _, begin with a letter, and not with sqlite_",
			ErrConfig, name, maxTable)
	}
	return nil
}

type backend struct {
	cfg        Config
	sql        queries
	migrations [][]string // what leads from each version to the next
	ready      atomic.Bool
	open       context.Context // until Close
	stop       context.CancelFunc

	mu    sync.Mutex
	known position // what the last Load returned
}

// position is a state of the storage: how many batches, and the checksum over their rows.
type position struct {
	revision int64
	sum      string
}

// Close ends Watch and what is under way. The database stays open.
func (b *backend) Close() error {
	b.stop()
	return nil
}

// while calls do with a context that also ends with Close, and with ErrClosed afterwards.
func (b *backend) while(ctx context.Context, do func(ctx context.Context) error) error {
	if b.open.Err() != nil {
		return certstore.ErrClosed
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(b.open, stop)()
	err := do(ctx)
	if err != nil && b.open.Err() != nil {
		return errors.Join(certstore.ErrClosed, err)
	}
	return err
}
