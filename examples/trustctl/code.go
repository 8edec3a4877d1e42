package main

import (
	"errors"
	"io/fs"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/agekeys"
	"github.com/microtrust/microtrust/certstore/memberfiles"
	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
	"github.com/microtrust/microtrust/trust"
)

// code is the exit code of this program.
type code int

const (
	codeDone         code = 0
	codeUsage        code = 1
	codeWrong        code = 2
	codeNotConfirmed code = 3
	codeNotAllowed   code = 4
	codeInUse        code = 5
	codeNotTold      code = 6
	codeFailed       code = 7
	codeInterrupted  code = 130
)

type meaning struct {
	code code
	text string
}

// codeMeanings is the table that -h and the README show.
func codeMeanings() []meaning {
	return []meaning{
		{codeDone, "done; nothing is wrong"},
		{codeUsage, "wrong command line; unusable directory, identity, passphrase or file"},
		{codeWrong, "verify or audit found something wrong, or a file is damaged"},
		{codeNotConfirmed, "not confirmed; nothing was changed"},
		{codeNotAllowed, "the cluster's rules do not allow it"},
		{codeInUse, "a running daemon has the directory open"},
		{codeNotTold, "this machine has left, and no other member could be told"},
		{codeFailed, "anything else, such as a full disk"},
		{codeInterrupted, "interrupted (Ctrl-C, SIGTERM)"},
	}
}

var (
	errNotConfirmed = errors.New("not confirmed; nothing was changed")
	errWrong        = errors.New("something is wrong")
	errForeign      = errors.New("not about this cluster")
)

func codeOf(err error) code {
	switch {
	case err == nil:
		return codeDone
	case terminal.IsAny(err, errNotConfirmed, terminal.ErrNoAnswer):
		return codeNotConfirmed
	case errors.Is(err, errWrong), errors.As(err, new(*certstore.CorruptError)), errors.As(err, new(*trust.BookError)):
		return codeWrong
	case errors.Is(err, trust.ErrNotTold):
		return codeNotTold
	case errors.Is(err, certstore.ErrLocked):
		return codeInUse
	case terminal.IsAny(err, certstore.ErrNotMember, certstore.ErrNotAllowed, certstore.ErrLastMember, certstore.ErrKeepLimit, certstore.ErrNoCluster,
		certstore.ErrForeignIdentity, errForeign, trust.ErrNoCluster, trust.ErrRotating, trust.ErrInvitationLimit, session.ErrInvitationUsed):
		return codeNotAllowed
	case errors.As(err, new(*terminal.UsageError)), terminal.IsAny(err, certstore.ErrNoIdentity, certstore.ErrIdentityIncomplete, certstore.ErrIdentity,
		certstore.ErrPermissions, certstore.ErrForeignFile, certstore.ErrUnknownMember, certstore.ErrNameTaken, agekeys.ErrConfig,
		memberfiles.ErrFile, fs.ErrNotExist, fs.ErrExist, trust.ErrConfig, trust.ErrUnknownInvitation):
		return codeUsage
	}
	return codeFailed
}

// explain returns the error in a sentence, with what to do about it where the library does not know.
func explain(err error) string {
	text := terminal.Text(err)
	switch {
	case errors.Is(err, certstore.ErrLocked):
		return text + "\nStop the daemon of this machine first, or let it make the change itself (joinserver has commands for that); what only looks (list, history, verify, audit, export, member-files) works beside it."
	case errors.Is(err, trust.ErrNotTold):
		return text + "\nRun leave again when one can be reached; or export the statements, import them at a member, and run leave -destroy here."
	case errors.Is(err, certstore.ErrSealed):
		return text + "\nUse -passphrase-file."
	case errors.Is(err, trust.ErrRotating):
		return text + "\nAn invitation names the certificate, so it is made when the daemon has completed the rotation."
	case errors.Is(err, certstore.ErrNameTaken):
		return text + "\nSay which one by its full fingerprint; list -json shows it."
	case errors.Is(err, certstore.ErrLastMember):
		return text + "\nTo give the cluster up, stop the daemon and delete the directory."
	case errors.Is(err, certstore.ErrForeignIdentity):
		return text + "\nPut a new certificate of that authority in place with certstore.StageIdentity first."
	}
	return text
}
