package microcloudpeer

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	passphrase = "koala amulet bronze violin tulip"
	strong     = "83P27XWKbDczUyE7xaX3pgVfaEacfQ2qiQ0r6gPb" // nobody guesses it
)

// patience is how long a test waits for something that happens within a second on an idle machine.
const patience = 2 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func openInitiator(t *testing.T, name, passphrase string, services map[string]string) *initiator {
	t.Helper()
	i, err := newInitiator(name, passphrase, services)
	require.NoError(t, err)
	t.Cleanup(i.close)
	return i
}

func openJoiner(t *testing.T, name, passphrase string, services map[string]string) *joiner {
	t.Helper()
	j, err := newJoiner(name, passphrase, services)
	require.NoError(t, err)
	t.Cleanup(j.close)
	return j
}

// receive waits for what another goroutine sends.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-within(t).Done():
		require.FailNow(t, "nothing came")
		panic("not reached")
	}
}

// requireRefusal requires that err is an answer with this status and text.
func requireRefusal(t *testing.T, err error, status int, text string) {
	t.Helper()
	var got *refusal
	require.ErrorAs(t, err, &got)
	require.Equal(t, refusal{status, text}, *got)
}

// TestPeerStandsOnItsOwn: the peer imports the standard library and Argon2id, and nothing of this module.
func TestPeerStandsOnItsOwn(t *testing.T) {
	files, err := filepath.Glob("peer_*.go")
	require.NoError(t, err)
	imports := 0
	for _, file := range files {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range syntax.Imports {
			imports++
			name, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
				require.Equal(t, "golang.org/x/crypto/argon2", name, file)
			}
		}
	}
	require.Len(t, files, 4)
	require.GreaterOrEqual(t, imports, 30)
}

// TestPeerMeetsTheVectors: the peer computes and judges headers as the published vectors say.
func TestPeerMeetsTheVectors(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/vectors/microcloud-1.0.json")
	require.NoError(t, err)
	var file struct {
		Vectors []struct {
			Name, Version, Passphrase, Body, Authorization, Class string

			Salt  string `json:"salt_hex"`
			Valid bool
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	valid := 0
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			err := checkHeader(v.Passphrase, v.Authorization, []byte(v.Body))
			if !v.Valid {
				var got *refusal
				require.ErrorAs(t, err, &got)
				require.Equal(t, v.Class == "mac", got.status == 403, "class %s: %v", v.Class, err)
				return
			}
			valid++
			require.NoError(t, err)
			salt, err := hex.DecodeString(v.Salt)
			require.NoError(t, err)
			require.Equal(t, v.Authorization, signWith(v.Passphrase, salt, []byte(v.Body)))
		})
	}
	require.GreaterOrEqual(t, len(file.Vectors), 19)
	require.GreaterOrEqual(t, valid, 6)
}

// TestPeersJoin: the peer's two roles understand each other, stops included.
func TestPeersJoin(t *testing.T) {
	services := map[string]string{"LXD": "6.9"}
	i := openInitiator(t, "micro01", passphrase, services)
	j := openJoiner(t, "micro02", passphrase, map[string]string{"LXD": "6.9", "MicroCeph": "19.2.3"})
	ctx := within(t)
	name, err := j.meet(ctx, i.address)
	require.NoError(t, err)
	require.Equal(t, "micro01", name)
	require.NoError(t, j.offer(ctx, i.address))
	got := receive(t, i.intents)
	require.Equal(t, "micro02", got.Name)
	require.NoError(t, i.confirm(ctx, got, true))
	by, err := j.wait(ctx)
	require.NoError(t, err)
	require.Equal(t, intent{Name: "micro01", Version: "2.0", Address: i.address, Certificate: by.Certificate, Services: services}, by)

	require.NoError(t, i.stop(ctx, got, "enough"))
	_, err = j.wait(ctx)
	var stopped *stopError
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, "enough", stopped.reason)
	require.NoError(t, j.withdraw(ctx, i.address, "changed my mind"))
	require.Equal(t, "changed my mind", receive(t, i.stops))

	require.Error(t, i.sendStop(ctx, j.address, request{}, "a stranger"))
	require.Error(t, j.sendStop(ctx, i.address, request{}, "a stranger"))
	body := j.intent()
	require.Error(t, i.confirmWith(ctx, got, false, body, j.sign(body)))
	_, err = j.wait(ctx)
	require.ErrorIs(t, err, errOwnIntent)
	other := openInitiator(t, "micro03", passphrase, services)
	require.Error(t, other.confirm(ctx, got, true))
	_, err = j.wait(ctx)
	require.ErrorIs(t, err, errNotTheShown)
	require.False(t, errors.Is(err, errOwnIntent))
}
