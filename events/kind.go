package events

import "log/slog"

// Category is the first part of the vocabulary: what kind of thing an event is about.
type Category string

// The categories.
const (
	Authn     Category = "AUTHN"
	Authz     Category = "AUTHZ"
	Excess    Category = "EXCESS"
	Input     Category = "INPUT"
	Malicious Category = "MALICIOUS"
	Sys       Category = "SYS"
)

// Kind is one event of the catalogue. It decides the name, the level and the category of a record (docs/events.md, section "Catalogue").
type Kind uint8

// The events.
const (
	// LoginSuccess: a joiner proved the secret, or a member authenticated for the first time since the start.
	LoginSuccess Kind = iota + 1
	// LoginSuccessAfterFail: the same after wrong proofs from that source.
	LoginSuccessAfterFail
	// LoginFail: a well-formed wrong proof, or a certificate that is not, or no longer, a member's.
	LoginFail
	// LoginFailMax: the budget of wrong proofs of a source or of a secret is used up.
	LoginFailMax
	// LoginLock: a source has to wait, or nothing more is accepted for a secret.
	LoginLock
	// TokenCreated: the secret of a session, or an invitation, was made.
	TokenCreated
	// TokenRevoked: one was taken back.
	TokenRevoked
	// TokenDelete: one expired, was used up or was dropped.
	TokenDelete
	// TokenReuse: a used, revoked or expired invitation was presented, or a message of a handshake was replayed.
	TokenReuse
	// PasswordChanged: this machine, or another member, has a new key and certificate.
	PasswordChanged
	// Admin: something that changes who is trusted; see [Action].
	Admin
	// AuthzFail: a joiner with a right proof asked for what it may not have.
	AuthzFail
	// SessionCreated: a trust session began.
	SessionCreated
	// SessionExpired: a trust session ended, for whatever cause.
	SessionExpired
	// SessionUseAfterExpire: somebody asked for a session that has ended.
	SessionUseAfterExpire
	// RateLimitExceeded: a source, a block of sources, or all together, hit a limit.
	RateLimitExceeded
	// InputValidationFail: a malformed message.
	InputValidationFail
	// DirectReference: a reflected or spliced message, or a statement that does not verify.
	DirectReference
	// Startup: the service runs.
	Startup
	// Shutdown: the service stopped.
	Shutdown
	// MonitorDisabled: this log was switched off.
	MonitorDisabled
	// MonitorEnabled: this log was switched on again.
	MonitorEnabled
	kindEnd
)

// kindFacts is a line of the catalogue.
type kindFacts struct {
	name     string
	level    slog.Level
	category Category
	// atOnce is how many records of one block of sources are written as they come, in each period; the others are summed up. Zero:
	// all, for what nobody on the network can cause at will.
	atOnce int
}

// What atOnce is for what takes a right proof or a token: for successes as many as a session usually admits, behind one router, and some
// of the others, because each has a fingerprint that is worth to be known.
const (
	many = 50
	some = 8
)

func (k Kind) facts() kindFacts {
	facts := [kindEnd]kindFacts{
		{},
		{"authn_login_success", slog.LevelInfo, Authn, many},
		{"authn_login_successafterfail", slog.LevelInfo, Authn, many},
		{"authn_login_fail", slog.LevelWarn, Authn, 1},
		{"authn_login_fail_max", slog.LevelWarn, Authn, 1},
		{"authn_login_lock", slog.LevelWarn, Authn, 1},
		{"authn_token_created", slog.LevelInfo, Authn, 0},
		{"authn_token_revoked", slog.LevelInfo, Authn, 0},
		{"authn_token_delete", slog.LevelWarn, Authn, 0},
		{"authn_token_reuse", slog.LevelError, Authn, some},
		{"authn_password_changed", slog.LevelInfo, Authn, 0},
		{"authz_admin", slog.LevelWarn, Authz, 0},
		{"authz_fail", slog.LevelError, Authz, some},
		{"session_created", slog.LevelInfo, Authn, 0},
		{"session_expired", slog.LevelInfo, Authn, 0},
		{"session_use_after_expire", slog.LevelWarn, Authn, 1},
		{"excess_rate_limit_exceeded", slog.LevelWarn, Excess, 1},
		{"input_validation_fail", slog.LevelWarn, Input, 1},
		{"malicious_direct_reference", slog.LevelWarn, Malicious, 1},
		{"sys_startup", slog.LevelInfo, Sys, 0},
		{"sys_shutdown", slog.LevelInfo, Sys, 0},
		{"sys_monitor_disabled", slog.LevelWarn, Sys, 0},
		{"sys_monitor_enabled", slog.LevelInfo, Sys, 0},
	}
	if k >= kindEnd {
		k = 0
	}
	return facts[k]
}

// Kinds returns all events, in the order of the catalogue.
func Kinds() []Kind {
	var all []Kind
	for k := Kind(1); k < kindEnd; k++ {
		all = append(all, k)
	}
	return all
}

// String returns the name in the vocabulary, such as "authn_login_fail", and "" for what is no event. It is what a record says, except
// for PasswordChanged with Config.SheetSpelling.
func (k Kind) String() string { return k.facts().name }

// Level returns the level. The vocabulary's CRITICAL is slog's ERROR.
func (k Kind) Level() slog.Level { return k.facts().level }

// Category returns the category.
func (k Kind) Category() Category { return k.facts().category }

// Action is what an Admin event tells.
type Action uint8

// The actions.
const (
	ClusterBootstrap Action = iota + 1 // this machine founded a cluster
	ClusterJoin                        // a machine became a member
	ClusterLeave                       // a member removed itself
	ClusterRemove                      // a member was removed
	PolicyChange                       // an older format is accepted
	actionEnd
)

// String returns such as "cluster_join", and "" for what is no action.
func (a Action) String() string {
	names := [actionEnd]string{"", "cluster_bootstrap", "cluster_join", "cluster_leave", "cluster_remove", "policy_change"}
	if a >= actionEnd {
		a = 0
	}
	return names[a]
}
