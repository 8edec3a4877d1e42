package microtrust_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// emptyNames say nothing about what a package or file holds.
var emptyNames = []string{"common", "helper", "helpers", "misc", "types", "util", "utils"}

func checkPackageComment(p *goPackage) ([]finding, int) {
	for _, f := range p.code() {
		if f.syntax.Doc != nil && (p.isMain() || path.Base(f.path) == "doc.go") {
			return nil, 1
		}
	}
	if len(p.code()) == 0 {
		return nil, 1
	}
	return []finding{{p.dir, p.dir + ": no package comment in doc.go"}}, 1
}

func checkNames(p *goPackage) (found []finding, looked int) {
	if slices.Contains(emptyNames, path.Base(p.dir)) {
		found = append(found, finding{p.dir, p.dir + ": the name says nothing"})
	}
	for _, f := range p.files {
		name := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		if slices.Contains(emptyNames, name) {
			found = append(found, finding{f.path, f.path + ": the name says nothing"})
		}
	}
	return found, len(p.files)
}

func checkFileLength(p *goPackage) (found []finding, looked int) {
	for _, f := range p.files {
		if f.lines > maxFileLines {
			found = append(found, finding{f.path, fmt.Sprintf("%s: %d lines, more than %d", f.path, f.lines, maxFileLines)})
		}
	}
	return found, len(p.files)
}

func checkFunctionLength(p *goPackage) (found []finding, looked int) {
	for _, f := range p.code() {
		for _, function := range functions(f) {
			looked++
			if n := p.length(function); n > maxFunctionLines {
				key := f.path + ":" + functionName(function)
				found = append(found, finding{key, fmt.Sprintf("%s: %d lines, more than %d", key, n, maxFunctionLines)})
			}
		}
	}
	return found, looked
}

// checkVariables finds package-level variables of code that are neither errors nor assertions of types.
func checkVariables(p *goPackage) (found []finding, looked int) {
	for _, f := range p.code() {
		for _, decl := range f.syntax.Decls {
			general, ok := decl.(*ast.GenDecl)
			if !ok || general.Tok != token.VAR {
				continue
			}
			for _, spec := range general.Specs {
				values := spec.(*ast.ValueSpec)
				for i, name := range values.Names {
					looked++
					if name.Name != "_" && !isNewError(name.Name, values, i) {
						key := p.dir + "." + name.Name
						found = append(found, finding{key, fmt.Sprintf("%s (%s:%d): a variable of the package", key, f.path, p.line(name))})
					}
				}
			}
		}
	}
	return found, looked
}

// isNewError reports whether the i-th name of a declaration is a sentinel: ErrX = errors.New(…) or fmt.Errorf(…).
func isNewError(name string, values *ast.ValueSpec, i int) bool {
	if !strings.HasPrefix(name, "Err") && !strings.HasPrefix(name, "err") || i >= len(values.Values) {
		return false
	}
	call, ok := values.Values[i].(*ast.CallExpr)
	return ok && (isSelector(call.Fun, "errors", "New") || isSelector(call.Fun, "fmt", "Errorf"))
}

func checkInit(p *goPackage) (found []finding, looked int) {
	for _, f := range p.files {
		for _, function := range functions(f) {
			looked++
			if function.Recv == nil && function.Name.Name == "init" {
				key := f.path + ":init"
				found = append(found, finding{key, key + ": runs at import"})
			}
		}
	}
	return found, looked
}

// checkSleep finds calls of time.Sleep, except those written inside the function that synctest.Test gets.
func checkSleep(p *goPackage) (found []finding, looked int) {
	for _, f := range p.files {
		looked++
		clock := importedAs(f, "time")
		if clock == "" {
			continue
		}
		for _, function := range functions(f) {
			ast.Inspect(function, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if f.test && isSelector(call.Fun, "synctest", "Test") {
					return false
				}
				if isSelector(call.Fun, clock, "Sleep") {
					key := f.path + ":" + functionName(function)
					found = append(found, finding{key, fmt.Sprintf("%s: sleeps in line %d", key, p.line(call))})
				}
				return true
			})
		}
	}
	return found, looked
}

// insecureSkipVerify returns file and line of every mention of the field in code; comments do not count.
func insecureSkipVerify(p *goPackage) (places []string) {
	for _, f := range p.code() {
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok && ident.Name == "InsecureSkipVerify" {
				places = append(places, fmt.Sprintf("%s:%d", f.path, p.line(ident)))
			}
			return true
		})
	}
	return places
}

func functions(f *goFile) (found []*ast.FuncDecl) {
	for _, decl := range f.syntax.Decls {
		if function, ok := decl.(*ast.FuncDecl); ok {
			found = append(found, function)
		}
	}
	return found
}

// functionName returns F for a function and T.F for a method of T or *T.
func functionName(function *ast.FuncDecl) string {
	if receiver := receiverType(function); receiver != "" {
		return receiver + "." + function.Name.Name
	}
	return function.Name.Name
}

// receiverType returns the name of a method's type without pointer and type parameters, "" for a function.
func receiverType(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return ""
	}
	expr := function.Recv.List[0].Type
	for {
		switch e := expr.(type) {
		case *ast.StarExpr:
			expr = e.X
		case *ast.IndexExpr:
			expr = e.X
		case *ast.IndexListExpr:
			expr = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

func isSelector(expr ast.Expr, left, right string) bool {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != right {
		return false
	}
	ident, ok := selector.X.(*ast.Ident)
	return ok && ident.Name == left
}

// importedAs returns the name under which a file knows a package of the standard library, "" if it does not.
func importedAs(f *goFile, name string) string {
	for _, spec := range f.syntax.Imports {
		if spec.Path.Value != `"`+name+`"` {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(name)
	}
	return ""
}
