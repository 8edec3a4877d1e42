package wire

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// walker goes through a JSON text that is already known to be valid, along the Go type that it is meant for. A nil type
// means anything: then only the rules hold that need no type. Being valid, the text needs no checks of its syntax here;
// that is why the walker only skips over what separates values.
type walker struct {
	data []byte
	pos  int
}

func (w *walker) value(t reflect.Type, path string, depth int) error {
	t = concrete(t)
	w.space()
	switch w.data[w.pos] {
	case '{':
		return w.object(t, path, depth+1)
	case '[':
		return w.array(t, path, depth+1)
	case '"':
		text, err := w.text(path)
		if err == nil && isBytes(t) {
			err = canonicalBase64(text, path)
		}
		return err
	case 'n':
		return memberError(path, "null")
	default:
		for w.pos < len(w.data) && !strings.ContainsRune(" \t\r\n,]}", rune(w.data[w.pos])) {
			w.pos++
		}
		return nil
	}
}

func (w *walker) object(t reflect.Type, path string, depth int) error {
	if depth > MaxDepth {
		return memberError(path, "too many levels")
	}
	var known map[string]reflect.Type
	var each reflect.Type
	if t != nil && t.Kind() == reflect.Struct {
		known = members(t)
	}
	if t != nil && t.Kind() == reflect.Map {
		each = t.Elem()
	}
	seen := map[string]bool{}
	for w.enter(); !w.leave('}'); {
		name, err := w.text(path)
		if err != nil {
			return err
		}
		member := strings.TrimPrefix(cut(path+".")+cut(name), ".")
		if seen[name] {
			return memberError(member, "stands twice")
		}
		seen[name] = true
		typ, ok := known[name]
		if known != nil && !ok {
			return memberError(member, "unknown")
		}
		if known == nil {
			typ = each
		}
		w.space()
		w.pos++ // the colon
		if err := w.value(typ, member, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) array(t reflect.Type, path string, depth int) error {
	if depth > MaxDepth {
		return memberError(path, "too many levels")
	}
	var each reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		each = t.Elem()
	}
	if isBytes(t) {
		return memberError(path, "bytes are written in base64")
	}
	n := 0
	for w.enter(); !w.leave(']'); n++ {
		if n == MaxTexts && isBytes(each) {
			return memberError(path, "too many elements")
		}
		if err := w.value(each, path+"["+strconv.Itoa(n)+"]", depth); err != nil {
			return err
		}
	}
	if t != nil && t.Kind() == reflect.Array && t.Len() != n {
		return memberError(path, "another number of elements than the fixed one")
	}
	return nil
}

// text reads a string and refuses half a surrogate pair, which encoding/json would silently replace.
func (w *walker) text(path string) (string, error) {
	start := w.pos
	for w.pos++; w.data[w.pos] != '"'; w.pos++ {
		if w.data[w.pos] != '\\' {
			continue
		}
		w.pos++
		if w.data[w.pos] != 'u' {
			continue
		}
		switch unit := w.unit(w.pos); {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return "", memberError(path, "half a surrogate pair")
		case unit >= 0xD800 && unit <= 0xDBFF:
			if w.data[w.pos+5] != '\\' || w.data[w.pos+6] != 'u' || w.unit(w.pos+6)>>10 != 0xDC00>>10 {
				return "", memberError(path, "half a surrogate pair")
			}
			w.pos += 6
		}
		w.pos += 4
	}
	w.pos++
	var text string
	if err := json.Unmarshal(w.data[start:w.pos], &text); err != nil {
		return "", memberError(path, "not a text")
	}
	return text, nil
}

// unit returns the UTF-16 unit of the escape whose letter u is at pos; a valid text has four digits there.
func (w *walker) unit(pos int) uint64 {
	v, _ := strconv.ParseUint(string(w.data[pos+1:pos+5]), 16, 16)
	return v
}

func (w *walker) space() {
	for w.pos < len(w.data) && strings.ContainsRune(" \t\r\n", rune(w.data[w.pos])) {
		w.pos++
	}
}

// enter steps over the opening bracket.
func (w *walker) enter() { w.pos++ }

// leave steps over a comma, or over the closing bracket, which ends the loop.
func (w *walker) leave(closing byte) bool {
	w.space()
	if w.data[w.pos] == ',' {
		w.pos++
		w.space()
	}
	if w.data[w.pos] == closing {
		w.pos++
		return true
	}
	return false
}

// canonicalBase64 keeps nothing of what it decodes, and takes no memory: a body may be one long text, or very many short ones.
func canonicalBase64(text, path string) error {
	var chunk, back [1 << 10]byte
	var raw [len(chunk) / 4 * 3]byte
	for len(text) > 0 {
		n := copy(chunk[:], text)
		text = text[n:]
		decoded, err := base64.StdEncoding.Decode(raw[:], chunk[:n])
		base64.StdEncoding.Encode(back[:], raw[:decoded])
		ended := decoded < len(raw) && len(text) > 0
		if err != nil || ended || !bytes.Equal(back[:base64.StdEncoding.EncodedLen(decoded)], chunk[:n]) {
			return memberError(path, "not canonical base64")
		}
	}
	return nil
}

func isBytes(t reflect.Type) bool {
	return t != nil && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// concrete follows pointers, and returns nil for what takes any value or decodes itself.
func concrete(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer && !decodesItself(t) {
		t = t.Elem()
	}
	if t == nil || t.Kind() == reflect.Interface || decodesItself(t) {
		return nil
	}
	return t
}

func decodesItself(t reflect.Type) bool {
	p := t
	if t.Kind() != reflect.Pointer {
		p = reflect.PointerTo(t)
	}
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// members returns the JSON names of a struct's fields and their types. Embedded structs without a tag lend their fields, as
// in encoding/json.
func members(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Tag.Get("json") == "-" {
			continue
		}
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			for n, typ := range members(f.Type) {
				known[n] = typ
			}
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		known[name] = f.Type
	}
	return known
}
