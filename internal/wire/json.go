package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"unicode/utf8"
)

// MaxDepth is how many objects and arrays may stand inside each other in a JSON text, the outermost included.
const MaxDepth = 16

// MaxTexts is how many elements an array of bytes in base64 may have: each takes far more memory than its two quotation marks.
const MaxTexts = 4096

// DecodeJSON decodes the one JSON value in data into v, a non-nil pointer, and is stricter than encoding/json:
//
//   - the text is UTF-8 and holds one value, with nothing but white space around it; half a surrogate pair is refused;
//   - members of a struct are known and spelt exactly as their json tag says, in the same case;
//   - no member stands twice in one object, at any depth, in maps and in [json.RawMessage] too;
//   - null stands nowhere: a value that is absent is left out;
//   - at most [MaxDepth] levels;
//   - arrays of fixed length have that length, and bytes are standard base64 in its one canonical spelling;
//   - an array of bytes has at most [MaxTexts] elements.
//
// A struct reserves room for extensions with a member of type [json.RawMessage], by convention named "ext": its content
// obeys the general rules, and its names are not checked. The caller bounds the size of data beforehand. Errors are [*MemberError]
// and wrap [ErrMalformed]. After an error, v is unchanged unless the error came from a type in v that decodes itself or from a value
// out of the range of its type: treat v as undefined.
func DecodeJSON(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return memberError("", "target is not a pointer")
	}
	if err := check(data, target.Type()); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fromStandard(err)
	}
	return nil
}

// EncodeJSON returns the JSON text of v without a line end and without escapes for HTML. It refuses to write what
// [DecodeJSON] would refuse to read into the same type: a nil slice, map or pointer that is not left out ("omitempty"), too
// many levels. Errors wrap [ErrMalformed]. The caller owns the result.
func EncodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fromStandard(err)
	}
	text := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if err := check(text, reflect.TypeOf(v)); err != nil {
		return nil, err
	}
	return text, nil
}

func check(data []byte, t reflect.Type) error {
	if !utf8.Valid(data) {
		return memberError("", "not valid UTF-8")
	}
	if !json.Valid(data) {
		return memberError("", "not one complete JSON value")
	}
	w := walker{data: data}
	return w.value(t, "", 0)
}

// fromStandard replaces an error of encoding/json, whose text may repeat what a peer wrote at any length.
func fromStandard(err error) error {
	if wrong, ok := err.(*json.UnmarshalTypeError); ok {
		return memberError(wrong.Field, "not a value of type "+wrong.Type.String())
	}
	return memberError("", "a value does not fit its type")
}
