package hmacauth_test

import (
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// comparisons are all places where two values are compared in variable time, none of them a constant. Each is about something
// public, or about text at the terminal of the person who types it. What is added here needs that reason too.
var comparisons = []string{
	"c.Share != Share{}",          // a share, which is public
	"FormatAuthorization(c) != s", // a header as received
	"candidate == word",           // what a person types
	"a[i-1] == rune(b[j-1])",      // the same
	"a[i-1] == rune(b[j-2])",      // the same
	"a[i-2] == rune(b[j-1])",      // the same
	"h.Initiator == none",         // fingerprints
	"h.Joiner == none",            // fingerprints
	"q.Handshake != k.handshake",  // ids
	"endpoint == EndpointJoin",    // the name of an endpoint
}

func TestCodesAndSecretsAreComparedInConstantTime(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files, constant, calls := 0, 0, 0
	found := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if selector, ok := n.Fun.(*ast.SelectorExpr); ok {
					calls++
					requireAllowed(t, set, selector)
				}
			case *ast.BinaryExpr:
				if n.Op != token.EQL && n.Op != token.NEQ {
					return true
				}
				if isConstant(n.X) || isConstant(n.Y) {
					constant++
					return true
				}
				var text strings.Builder
				require.NoError(t, printer.Fprint(&text, set, n))
				require.Contains(t, comparisons, text.String(), "%s: judge this comparison", set.Position(n.Pos()))
				found[text.String()] = true
			}
			return true
		})
	}
	require.Len(t, found, len(comparisons), "a comparison on the list is gone")
	require.GreaterOrEqual(t, files, 10)
	require.GreaterOrEqual(t, constant, 20)
	require.GreaterOrEqual(t, calls, 80)
}

// requireAllowed refuses functions that compare whole values in variable time.
func requireAllowed(t *testing.T, set *token.FileSet, f *ast.SelectorExpr) {
	left, _ := f.X.(*ast.Ident)
	if left != nil && left.Name == "hmac" {
		return
	}
	if left != nil && slices.Contains([]string{"bytes", "slices", "reflect", "strings"}, left.Name) {
		require.NotContains(t, []string{"Equal", "EqualFold", "DeepEqual", "Compare", "Contains", "Index"}, f.Sel.Name, set.Position(f.Pos()))
	}
	require.False(t, strings.HasPrefix(f.Sel.Name, "Public"), set.Position(f.Pos()))
}

func isConstant(e ast.Expr) bool {
	if ident, ok := e.(*ast.Ident); ok {
		return ident.Name == "nil"
	}
	_, ok := e.(*ast.BasicLit)
	return ok
}
