package microtrust_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	documentNamed    = regexp.MustCompile(`docs/[a-z-]+\.md`)
	sectionReference = regexp.MustCompile(`(docs/[a-z-]+\.md), (?:section )?"([^"]+)"`)
)

// headings returns the headings of a document in lower case, since references take the case of their sentence.
func headings(text string) (found []string) {
	for _, match := range markdownHeading.FindAllStringSubmatch(text, -1) {
		found = append(found, strings.ToLower(match[1]))
	}
	return found
}

// deadReferences returns what a comment says of documents and sections that do not exist, and how many it names.
func deadReferences(comment string, documents map[string]string) (dead []string, named int) {
	comment = strings.Join(strings.Fields(comment), " ") // references are broken over lines
	for _, name := range documentNamed.FindAllString(comment, -1) {
		if _, ok := documents[name]; !ok {
			dead = append(dead, name)
		}
	}
	for _, match := range sectionReference.FindAllStringSubmatch(comment, -1) {
		named++
		if !slices.Contains(headings(documents[match[1]]), strings.ToLower(match[2])) {
			dead = append(dead, match[0])
		}
	}
	return dead, named
}

// TestDocCommentsReferToSectionsThatExist: whoever follows a comment into a specification arrives.
func TestDocCommentsReferToSectionsThatExist(t *testing.T) {
	documents := loadDocuments(t)
	named := 0
	for _, p := range loadRepository(t) {
		for _, f := range p.files {
			for _, group := range f.syntax.Comments {
				dead, n := deadReferences(group.Text(), documents)
				named += n
				for _, reference := range dead {
					t.Errorf("%s:%d: %s leads nowhere", f.path, p.line(group), reference)
				}
			}
		}
	}
	require.GreaterOrEqual(t, named, 40, "references to sections")
}

func TestDeadReferencesAreFound(t *testing.T) {
	documents := map[string]string{"docs/a.md": "# A\n\n## Order of checks\n"}
	for _, tt := range []struct {
		comment string
		dead    int
	}{
		{`See docs/a.md, "Order of cheques".`, 1},
		{"See docs/a.md, section\n\"Checks\".", 1},
		{`See docs/b.md.`, 1},
		{`See docs/b.md, "Order of checks".`, 2},
		{"See docs/a.md,\nsection \"Order of checks\", and docs/a.md.", 0},
		{`See docs/a.md, "order of checks", step 3.`, 0},
	} {
		dead, _ := deadReferences(tt.comment, documents)
		require.Len(t, dead, tt.dead, tt.comment)
	}
}
