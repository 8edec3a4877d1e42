package microtrust_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestCodeInDocuments: the Go code that the documents show stands, letter for letter, in files that are compiled and tested.
// Functions may be left out between two that are shown.
func TestCodeInDocuments(t *testing.T) {
	code := goFiles(t)
	shown := map[string]int{}
	for name, text := range loadDocuments(t) {
		for _, block := range goBlock.FindAllStringSubmatch(text, -1) {
			for _, part := range strings.Split(strings.TrimSpace(block[1]), "\n\n") {
				require.Contains(t, code, part, name)
				shown[name] += strings.Count(part, "\n") + 1
			}
		}
	}
	require.GreaterOrEqual(t, shown["README.md"], 20, "lines of code")
	require.GreaterOrEqual(t, shown["docs/embedding.md"], 40, "lines of code")
	require.GreaterOrEqual(t, shown["docs/adopting.md"], 150, "lines of code")
}

// goFiles returns all Go files of the repository as one text, the modules inside it included.
func goFiles(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != "." && isIgnored(entry.Name()) {
			return fs.SkipDir // git may be at work in its own
		}
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}
