package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/terminal"
	"github.com/microtrust/microtrust/session"
	"github.com/stretchr/testify/require"
)

// TestReadmeListsEvents: every kind of event and every member of one is named in the README.
func TestReadmeListsEvents(t *testing.T) {
	text := readme(t)
	kinds := []string{"identity", "searching", "found", "connecting", "proving", "waiting", "storing", "retrying", "joined", "exit", "opened"}
	for k := session.EventOffered; k <= session.EventEnded; k++ {
		kinds = append(kinds, k.String())
	}
	event := reflect.TypeFor[terminal.Event]()
	for i := range event.NumField() {
		name, _, _ := strings.Cut(event.Field(i).Tag.Get("json"), ",")
		kinds = append(kinds, name)
	}
	for _, kind := range kinds {
		require.Contains(t, text, "`"+kind+"`")
	}
	require.GreaterOrEqual(t, len(kinds), 35)
}
