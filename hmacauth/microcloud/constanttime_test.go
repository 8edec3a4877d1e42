package microcloud_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// comparisons are all places where two values are compared in variable time, neither of them a literal or nil. Each is about something
// public, or about a length. What is added here needs that reason too.
var comparisons = []string{
	"got != want",                            // versions
	"h.version != k.version",                 // versions
	"bytes.Equal(h.salt, k.salt)",            // salts, which stand in the header
	"len(digits) != hex.EncodedLen(MACSize)", // a length
}

func TestCodesAreComparedInConstantTime(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var found []string
	files, constant := 0, 0
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		files++
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				call := types.ExprString(n)
				switch name := types.ExprString(n.Fun); {
				case name == "hmac.Equal":
					constant++
					require.Equal(t, "hmac.Equal(mac[:], h.mac[:])", call)
				case strings.HasSuffix(name, "Equal"), strings.Contains(name, "Compare"):
					found = append(found, call)
				}
			case *ast.BinaryExpr:
				if (n.Op == token.EQL || n.Op == token.NEQ) && !isConstant(n.X) && !isConstant(n.Y) {
					found = append(found, types.ExprString(n))
				}
			}
			return true
		})
	}
	require.ElementsMatch(t, comparisons, found)
	require.Equal(t, 1, constant, "codes are compared in one place")
	require.GreaterOrEqual(t, files, 7)
}

func isConstant(e ast.Expr) bool {
	if ident, ok := e.(*ast.Ident); ok {
		return ident.Name == "nil"
	}
	_, ok := e.(*ast.BasicLit)
	return ok
}
