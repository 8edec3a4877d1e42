package microtrust_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	markdownLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownHeading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	testName        = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark|Example)[A-Z]\w+`)
	notInAnchor     = regexp.MustCompile("[^a-z0-9 _-]")
)

// loadDocuments returns the Markdown files at the top and under docs/, by path.
func loadDocuments(t *testing.T) map[string]string {
	t.Helper()
	documents := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		names, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range names {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			documents[filepath.ToSlash(name)] = string(text)
		}
	}
	return documents
}

// anchors returns what a link into a document may name: its headings, lower-case, words joined by hyphens.
func anchors(text string) (found []string) {
	for _, match := range markdownHeading.FindAllStringSubmatch(text, -1) {
		anchor := notInAnchor.ReplaceAllString(strings.ToLower(match[1]), "")
		found = append(found, strings.ReplaceAll(anchor, " ", "-"))
	}
	return found
}

// TestLinksOfDocuments: every relative link leads to a file, and its anchor to a heading there.
func TestLinksOfDocuments(t *testing.T) {
	documents := loadDocuments(t)
	links := 0
	for name, text := range documents {
		for _, match := range markdownLink.FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(match[1], "#")
			target := name
			if file != "" {
				target = path.Join(path.Dir(name), file)
			}
			if _, err := os.Stat(filepath.FromSlash(target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, match[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(documents[target]), anchor) {
				t.Errorf("%s: the link %s leads to no heading", name, match[1])
			}
		}
	}
	require.GreaterOrEqual(t, len(documents), 8, "documents")
	require.GreaterOrEqual(t, links, 12, "links")
}

// TestTestsNamedInDocumentsExist: a document that names a test as its proof names one that is there.
func TestTestsNamedInDocumentsExist(t *testing.T) {
	existing := map[string]bool{}
	for _, p := range loadRepository(t) {
		for _, f := range p.files {
			for _, function := range functions(f) {
				if f.test && testName.MatchString(function.Name.Name) {
					existing[function.Name.Name] = true
				}
			}
		}
	}
	named := 0
	for name, text := range loadDocuments(t) {
		for _, test := range testName.FindAllString(text, -1) {
			named++
			if !existing[test] {
				t.Errorf("%s names %s, which does not exist", name, test)
			}
		}
	}
	t.Logf("%d tests, %d mentions", len(existing), named)
	require.GreaterOrEqual(t, len(existing), 100, "tests")
	require.GreaterOrEqual(t, named, 25, "tests named in documents")
}
