// Package sqlstore keeps the trust store in an SQL database that speaks SQLite's dialect: SQLite itself, or dqlite, which
// replicates one. Several members and several processes can use one database at once.
//
//	backend, err := sqlstore.New(sqlstore.Config{DB: db}) // *sql.DB, opened by you with the driver that you chose
//	store, err := certstore.OpenBackend(backend, identity)
//
// The package links no driver. The two tables (see Config.Table) are made when they are first used and are nobody else's
// business: change them only through a backend. See docs/trust-store.md, "SQL database".
//
// # Settings of the database
//
// A change is as durable as a commit of the database is. SQLite needs synchronous=FULL for that, a busy_timeout, and
// _txlock=immediate or the like where the driver has it; WAL lets readers and a writer work at once. One connection for
// writing per process (SetMaxOpenConns(1)) shares an SQLite file most fairly. A database in memory must have one connection
// only, or every connection has a database of its own.
//
// # Threat model
//
// The database is not trusted: every statement is verified when it is read. Whoever can write to it can lose statements,
// removals among them, or put back an old copy. Rows that were lost, changed or exchanged by accident are noticed, because
// the head holds a checksum over all of them; who wants to can compute it anew.
//
// # Concurrency
//
// A backend is safe for concurrent use. Writers that meet wait for each other and try again, with growing, random pauses.
//
// # Time
//
// The clock decides nothing but when to ask the database for news (Config.Poll) and when to give up (Config.Patience).
package sqlstore
