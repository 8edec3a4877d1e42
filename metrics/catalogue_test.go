package metrics_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMeasuresInTheDocument has every measure with its label and its sentence, and nothing else.
func TestMeasuresInTheDocument(t *testing.T) {
	document, err := os.ReadFile("../docs/events.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(document), "\n## Metrics\n")
	require.True(t, found)
	shown := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `(microtrust_[a-z_]+)` \\| (?:`([a-z]+)` \\| )?([^|]+) \\|$")
	for _, match := range row.FindAllStringSubmatch(section, -1) {
		shown[match[1]] = match[2] + ": " + match[3]
	}
	for _, info := range allInfo() {
		require.Equal(t, info.Label+": "+info.Help, shown[info.Name], info.Name)
	}
	require.Len(t, shown, len(allInfo()))
}
