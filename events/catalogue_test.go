package events_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/events"
	"github.com/stretchr/testify/require"
)

// TestCatalogueInTheDocument has every event with its level and category, in the same order, and nothing else.
func TestCatalogueInTheDocument(t *testing.T) {
	document, err := os.ReadFile("../docs/events.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(document), "\n## Catalogue\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([A-Z]+) \\| ([A-Z]+) \\| [^|]+ \\|$").FindAllStringSubmatch(section, -1)
	kinds := events.Kinds()
	require.Len(t, rows, len(kinds))
	for i, kind := range kinds {
		require.Equal(t, []string{kind.String(), kind.Level().String(), string(kind.Category())}, rows[i][1:])
	}
	for a := events.ClusterBootstrap; a.String() != ""; a++ {
		require.Contains(t, string(document), "`"+a.String()+"`")
	}
}
