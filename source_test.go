package microtrust_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const modulePath = "github.com/microtrust/microtrust"

// goFile is one parsed Go file of the repository.
type goFile struct {
	path   string // relative to the repository's root, with slashes
	test   bool
	lines  int
	syntax *ast.File
}

// goPackage is a directory with Go files: a package together with its tests.
type goPackage struct {
	dir   string // relative to the repository's root, with slashes; "." for the root
	fset  *token.FileSet
	files []*goFile
}

// code returns the files that are no tests.
func (p *goPackage) code() []*goFile {
	return slices.DeleteFunc(slices.Clone(p.files), func(f *goFile) bool { return f.test })
}

// isMain reports whether the package is a program.
func (p *goPackage) isMain() bool {
	code := p.code()
	return len(code) > 0 && code[0].syntax.Name.Name == "main"
}

func (p *goPackage) line(n ast.Node) int { return p.fset.Position(n.Pos()).Line }

// length returns how many lines n has.
func (p *goPackage) length(n ast.Node) int { return p.fset.Position(n.End()).Line - p.line(n) + 1 }

// parsePackage parses a package from memory: file name to source.
func parsePackage(dir string, sources map[string][]byte) (*goPackage, error) {
	p := &goPackage{dir: dir, fset: token.NewFileSet()}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		full := path.Join(dir, name)
		syntax, err := parser.ParseFile(p.fset, full, sources[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, &goFile{
			path:   full,
			test:   strings.HasSuffix(name, "_test.go"),
			lines:  bytes.Count(sources[name], []byte("\n")),
			syntax: syntax,
		})
	}
	return p, nil
}

// loadPackages parses every package of this module, whatever its build constraints, sorted by directory. Modules inside the
// repository are not part of it.
func loadPackages(t *testing.T) []*goPackage {
	t.Helper()
	return parseTree(t, func(dir string) bool { return !isModule(dir) })
}

// loadRepository parses every package of the repository, those of the modules inside it included.
func loadRepository(t *testing.T) []*goPackage {
	t.Helper()
	return parseTree(t, func(string) bool { return true })
}

// parseTree parses the packages in all directories that enter says yes to.
func parseTree(t *testing.T, enter func(dir string) bool) []*goPackage {
	t.Helper()
	sources := map[string]map[string][]byte{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (isIgnored(entry.Name()) || !enter(name)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		if sources[dir] == nil {
			sources[dir] = map[string][]byte{}
		}
		sources[dir][filepath.Base(name)], err = os.ReadFile(name)
		return err
	})
	require.NoError(t, err)

	var packages []*goPackage
	for _, dir := range slices.Sorted(maps.Keys(sources)) {
		p, err := parsePackage(dir, sources[dir])
		require.NoError(t, err)
		packages = append(packages, p)
	}
	return packages
}

// isIgnored reports whether the go command ignores directories with this name.
func isIgnored(base string) bool {
	return base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

// isModule reports whether a directory is the top of a module of its own.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// mustParse parses one package of the tests of these checks.
func mustParse(t *testing.T, dir string, sources map[string]string) *goPackage {
	t.Helper()
	raw := map[string][]byte{}
	for name, text := range sources {
		raw[name] = []byte(text)
	}
	p, err := parsePackage(dir, raw)
	require.NoError(t, err)
	return p
}
