package strictyaml

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// MaxSize bounds a text, in bytes: 1 MiB.
const MaxSize = 1 << 20

// maxDepth bounds how deep values nest.
const maxDepth = 16

const aliases = "has an anchor or an alias, which are not read: write the value out, in quotes if it begins with & or *"

// Value is one value of a file and knows where it stands, or where it is missing.
type Value struct {
	node  *yaml.Node // nil for a field that is not there
	file  string
	field string
	line  int
}

// Parse returns the value of the one document that text is. The name of the file is for errors alone. It returns an *Error
// for a text over [MaxSize], or if it is no such document.
func Parse(text []byte, file string) (Value, error) {
	whole := &Error{File: file}
	if len(text) > MaxSize {
		whole.Rule = fmt.Sprintf("is larger than %d bytes", MaxSize)
		return Value{}, whole
	}
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		whole.Line, whole.Rule = reason(err)
		return Value{}, whole
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		whole.Rule = "has no content"
		return Value{}, whole
	}
	top := Value{node: document.Content[0], file: file, line: document.Content[0].Line}
	return top, top.check(maxDepth)
}

// reason returns the line and the rule of an error of the parser. What that says of a text's form quotes no value, but what
// it says of an alias does.
func reason(err error) (int, string) {
	var form *yaml.LoadError
	if !errors.As(err, &form) {
		return 0, "is no YAML document"
	}
	switch {
	case form.Stage == yaml.ComposerStage:
		return form.Mark.Line, aliases
	case form.Mark.Line == 0:
		return 0, "must be one YAML document"
	}
	return form.Mark.Line, "is not YAML: " + form.Message
}

// check refuses what makes one part of a file say something in another.
func (v Value) check(depth int) error {
	switch {
	case v.node.Kind == yaml.AliasNode || v.node.Anchor != "":
		return v.Refuse(aliases)
	case depth == 0:
		return v.Refuse("is nested too deep")
	}
	for i, child := range v.node.Content {
		at := Value{node: child, file: v.file, field: v.field, line: child.Line}
		if v.node.Kind == yaml.MappingNode && i%2 == 1 {
			at.field = v.path(v.node.Content[i-1].Value)
		}
		if err := at.check(depth - 1); err != nil {
			return err
		}
	}
	return nil
}

// Is reports whether the field is there.
func (v Value) Is() bool { return v.node != nil }

// Line returns the line that the value begins in, or the mapping where it is missing, counted from 1.
func (v Value) Line() int { return v.line }

// Refuse returns an *Error that says of the value that it breaks a rule, which is given like the arguments of fmt.Sprintf
// and follows the name of the field: "is empty". It must not contain the value if that may be a secret.
func (v Value) Refuse(rule string, args ...any) error {
	return &Error{File: v.file, Line: v.line, Field: v.field, Rule: fmt.Sprintf(rule, args...)}
}

// Fields returns the values of a mapping by key. It returns an *Error if v is no mapping, for a key that is not among the
// known ones, and for one that stands twice. A field that is not there has a Value under its key all
// the same, whose errors say that it is missing.
func (v Value) Fields(known ...string) (map[string]Value, error) {
	fields, err := v.Map()
	if err != nil {
		return nil, err
	}
	for _, key := range v.keys() {
		if !slices.Contains(known, key.Value) {
			return nil, &Error{File: v.file, Line: key.Line, Field: v.path(key.Value),
				Rule: "is not known here; known are " + strings.Join(known, ", ")}
		}
	}
	for _, key := range known {
		if _, ok := fields[key]; !ok {
			fields[key] = Value{file: v.file, field: v.path(key), line: v.line}
		}
	}
	return fields, nil
}

// Map returns the values of a mapping with keys of any name, each of which is text and stands once, or an *Error.
func (v Value) Map() (map[string]Value, error) {
	if v.node == nil || v.node.Kind != yaml.MappingNode {
		return nil, v.wrongKind("a mapping of names to values")
	}
	fields := map[string]Value{}
	for i, key := range v.keys() {
		value := v.node.Content[2*i+1]
		field := Value{node: value, file: v.file, field: v.path(key.Value), line: value.Line}
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			return nil, v.Refuse("has a key in line %d that is not text", key.Line)
		}
		if before, twice := fields[key.Value]; twice {
			return nil, &Error{File: v.file, Line: key.Line, Field: field.field,
				Rule: fmt.Sprintf("stands twice, first in line %d", before.line)}
		}
		fields[key.Value] = field
	}
	return fields, nil
}

// keys returns the keys of a mapping in the order of the file.
func (v Value) keys() []*yaml.Node {
	keys := make([]*yaml.Node, 0, len(v.node.Content)/2)
	for pair := range slices.Chunk(v.node.Content, 2) {
		keys = append(keys, pair[0])
	}
	return keys
}

// List returns the values of a list in the order of the file, or an *Error.
func (v Value) List() ([]Value, error) {
	if v.node == nil || v.node.Kind != yaml.SequenceNode {
		return nil, v.wrongKind("a list")
	}
	list := make([]Value, 0, len(v.node.Content))
	for i, item := range v.node.Content {
		list = append(list, Value{node: item, file: v.file, field: v.field + "[" + strconv.Itoa(i) + "]", line: item.Line})
	}
	return list, nil
}

// Text returns a text that is not empty, or an *Error.
func (v Value) Text() (string, error) {
	switch {
	case v.node == nil || v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!str":
		return "", v.wrongKind("text (a number or another word with a meaning goes into quotes)")
	case v.node.Value == "":
		return "", v.Refuse("is empty")
	}
	return v.node.Value, nil
}

// Bool returns whether the value is true or false, written like that, or an *Error.
func (v Value) Bool() (bool, error) {
	if v.node == nil || v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool" || v.node.Value != "true" && v.node.Value != "false" {
		return false, v.wrongKind("true or false")
	}
	return v.node.Value == "true", nil
}

func (v Value) wrongKind(wanted string) error {
	if v.node == nil {
		return v.Refuse("is missing")
	}
	return v.Refuse("must be %s", wanted)
}

// path returns the path of a field below v.
func (v Value) path(key string) string {
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" || key == "" || len(key) > maxQuoted {
		key = strconv.Quote(key[:min(len(key), maxQuoted)])
	}
	if v.field == "" {
		return key
	}
	return v.field + "." + key
}
