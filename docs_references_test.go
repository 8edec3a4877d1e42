package microtrust_test

import (
	"go/ast"
	"path"
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

var fileNamed = regexp.MustCompile(`[a-z]+[a-z_]*\*?\.go`)

// unnamedFiles returns which files no pattern in a package comment names, and which patterns name no file.
func unnamedFiles(comment string, files []string) (unnamed, dead []string) {
	patterns := fileNamed.FindAllString(comment, -1)
	matches := func(pattern, file string) bool {
		ok, _ := path.Match(pattern, file)
		return ok
	}
	for _, file := range files {
		if !slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, file) }) {
			unnamed = append(unnamed, file)
		}
	}
	for _, pattern := range patterns {
		if !slices.ContainsFunc(files, func(file string) bool { return matches(pattern, file) }) {
			dead = append(dead, pattern)
		}
	}
	return unnamed, dead
}

// manyFiles is how many files a package may have before its documentation must say what each of them is for.
const manyFiles = 30

// TestLargePackagesNameTheirFiles: whoever opens a room of many files finds a way in.
func TestLargePackagesNameTheirFiles(t *testing.T) {
	checked := 0
	for _, p := range loadRepository(t) {
		code := p.code()
		if len(code) <= manyFiles {
			continue
		}
		checked++
		var comment string
		var files []string
		for _, f := range code {
			if name := path.Base(f.path); name == "doc.go" {
				comment = f.syntax.Doc.Text()
			} else {
				files = append(files, name)
			}
		}
		unnamed, dead := unnamedFiles(comment, files)
		require.Empty(t, unnamed, "%s: its doc.go says nothing about these files", p.dir)
		require.Empty(t, dead, "%s: its doc.go names files that are not there", p.dir)
	}
	require.GreaterOrEqual(t, checked, 2, "packages with many files")
}

func TestUnnamedFilesAreFound(t *testing.T) {
	unnamed, dead := unnamedFiles("a.go and b*.go are two, c.go is none.", []string{"a.go", "b_c.go", "ba.go", "d_a.go"})
	require.Equal(t, []string{"d_a.go"}, unnamed)
	require.Equal(t, []string{"c.go"}, dead)
}

var listedTargets = regexp.MustCompile("(?m)^\\| `([a-z/]+)` \\| [^|]+ \\| (Fuzz[^|]+) \\|$")

// TestEveryFuzzTargetIsListed: docs/testing.md, "Fuzzing" says where everything has its target, each once and none that is not there.
func TestEveryFuzzTargetIsListed(t *testing.T) {
	var listed, found []string
	for _, row := range listedTargets.FindAllStringSubmatch(loadDocuments(t)["docs/testing.md"], -1) {
		for _, target := range strings.Split(row[2], ", ") {
			listed = append(listed, row[1]+" "+target)
		}
	}
	for _, p := range loadRepository(t) {
		for _, f := range p.files {
			for _, d := range f.syntax.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Fuzz") {
					found = append(found, path.Dir(f.path)+" "+fn.Name.Name)
				}
			}
		}
	}
	require.GreaterOrEqual(t, len(found), 72, "fuzz targets")
	require.ElementsMatch(t, found, listed)
}
