package redacttest

import (
	"math/big"
	"reflect"
)

// Fields hands over every string, run of bytes and big number that reflection reaches in v, through pointers and in unexported
// fields too, each number as its bytes. It returns how many values it visited.
func Fields(v any, found func(text string)) int {
	w := walk{found: found, seen: map[uintptr]bool{}}
	w.visit(reflect.ValueOf(v))
	return w.visited
}

type walk struct {
	found   func(text string)
	seen    map[uintptr]bool // pointers, which may lead in circles
	visited int
}

func (w *walk) visit(v reflect.Value) {
	w.visited++
	switch v.Kind() {
	case reflect.String:
		w.found(v.String())
	case reflect.Pointer:
		if v.IsNil() || w.seen[v.Pointer()] {
			return
		}
		w.seen[v.Pointer()] = true
		if v.Type() == reflect.TypeFor[*big.Int]() {
			w.found(string(number(v.Elem()).Bytes()))
		}
		w.visit(v.Elem())
	case reflect.Interface:
		if !v.IsNil() {
			w.visit(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			w.visit(v.Field(i))
		}
	case reflect.Map:
		for iter := v.MapRange(); iter.Next(); {
			w.visit(iter.Key())
			w.visit(iter.Value())
		}
	case reflect.Slice, reflect.Array:
		w.visitList(v)
	}
}

func (w *walk) visitList(v reflect.Value) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		raw := make([]byte, v.Len())
		for i := range raw {
			raw[i] = byte(v.Index(i).Uint())
		}
		w.found(string(raw))
		return
	}
	for i := range v.Len() {
		w.visit(v.Index(i))
	}
}

// number returns a big.Int that may stand in an unexported field, where no method can be called.
func number(v reflect.Value) *big.Int {
	n, words := new(big.Int), v.FieldByName("abs")
	for i := words.Len() - 1; i >= 0; i-- {
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(words.Index(i).Uint()))
	}
	return n
}
