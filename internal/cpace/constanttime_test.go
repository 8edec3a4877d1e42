package cpace_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What must not be called where secrets are: variable-time arithmetic, comparisons that stop at the first difference, other
// maps to points than the suite's.
func forbidden(name string) bool {
	switch name {
	case "Equal", "EqualFold", "DeepEqual", "Compare", "Equals", "BigInt", "SetBigInt", "Derive", "DeriveShort", "Rand", "Lizard":
		return true
	}
	return strings.HasPrefix(name, "Public") || strings.HasPrefix(name, "VarTime")
}

func TestNothingRunsInVariableTime(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	files, selectors, comparisons := 0, 0, 0
	multiplications := map[string]int{}
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
			case *ast.SelectorExpr:
				selectors++
				require.False(t, forbidden(n.Sel.Name), "%s: %s", set.Position(n.Pos()), n.Sel.Name)
				multiplications[n.Sel.Name]++
			case *ast.BinaryExpr:
				if n.Op != token.EQL && n.Op != token.NEQ {
					return true
				}
				comparisons++
				require.True(t, isConstant(n.X) || isConstant(n.Y), "%s: compares two values", set.Position(n.Pos()))
			}
			return true
		})
	}
	require.GreaterOrEqual(t, files, 5)
	require.GreaterOrEqual(t, selectors, 40)
	require.GreaterOrEqual(t, comparisons, 5)
	require.Equal(t, 2, multiplications["ScalarMult"])
	require.Equal(t, 1, multiplications["DeriveDalek"])
	require.GreaterOrEqual(t, multiplications["ConstantTimeCompare"], 2)
}

// isConstant is true for nil and for numbers: comparing with them is deciding on an error, a length or the result of a
// comparison in constant time.
func isConstant(e ast.Expr) bool {
	if ident, ok := e.(*ast.Ident); ok {
		return ident.Name == "nil"
	}
	_, ok := e.(*ast.BasicLit)
	return ok
}
