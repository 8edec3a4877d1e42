package microtrust_test

import (
	"fmt"
	"go/ast"
	"go/token"
)

// exportedNames collects exported names of a package, and those without a doc comment.
type exportedNames struct {
	pkg    *goPackage
	file   *goFile
	found  []finding
	looked int
}

// checkExported finds exported functions, methods of exported types, types, fields, interface methods, constants and
// variables without a comment. A comment on a group of constants or variables serves the whole group.
func checkExported(p *goPackage) ([]finding, int) {
	names := &exportedNames{pkg: p}
	for _, names.file = range p.code() {
		for _, decl := range names.file.syntax.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if receiver := receiverType(d); receiver == "" || ast.IsExported(receiver) {
					names.see(functionName(d), d.Name, d.Doc)
				}
			case *ast.GenDecl:
				names.general(d)
			}
		}
	}
	return names.found, names.looked
}

// see looks at one name; any of the comments will do.
func (e *exportedNames) see(full string, name *ast.Ident, comments ...*ast.CommentGroup) {
	if !name.IsExported() {
		return
	}
	e.looked++
	for _, comment := range comments {
		if comment.Text() != "" {
			return
		}
	}
	key := e.file.path + ":" + full
	e.found = append(e.found, finding{key, fmt.Sprintf("%s (line %d): no doc comment", key, e.pkg.line(name))})
}

func (e *exportedNames) general(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range s.Names {
				e.see(name.Name, name, s.Doc, s.Comment, decl.Doc)
			}
		case *ast.TypeSpec:
			comments := []*ast.CommentGroup{s.Doc, s.Comment}
			if decl.Lparen == token.NoPos {
				comments = append(comments, decl.Doc)
			}
			e.see(s.Name.Name, s.Name, comments...)
			if s.Name.IsExported() {
				e.members(s)
			}
		}
	}
}

// members looks at the fields of a struct and the methods of an interface. What is embedded has its comment elsewhere.
func (e *exportedNames) members(spec *ast.TypeSpec) {
	var list *ast.FieldList
	switch t := spec.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			e.see(spec.Name.Name+"."+name.Name, name, field.Doc, field.Comment)
		}
	}
}
