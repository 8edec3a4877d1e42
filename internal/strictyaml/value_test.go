package strictyaml_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/internal/strictyaml"
)

// read reads a file of three fields: name is text, members a list of such mappings, and services is text by any name.
func read(text string) error {
	top, err := strictyaml.Parse([]byte(text), "f.yaml")
	if err != nil {
		return err
	}
	return readFields(top)
}

func readFields(v strictyaml.Value) error {
	fields, err := v.Fields("name", "members", "services")
	if err != nil {
		return err
	}
	if _, err := fields["name"].Text(); err != nil {
		return err
	}
	if services := fields["services"]; services.Is() {
		all, err := services.Map()
		if err != nil {
			return err
		}
		for _, version := range all {
			if _, err := version.Text(); err != nil {
				return err
			}
		}
	}
	if !fields["members"].Is() {
		return nil
	}
	members, err := fields["members"].List()
	for _, member := range members {
		err = errors.Join(err, readFields(member))
	}
	return err
}

func TestWhatIsNotStrictIsRefused(t *testing.T) {
	const text = "must be text (a number or another word with a meaning goes into quotes)"
	for name, c := range map[string]struct{ text, message string }{
		"empty":               {"", "f.yaml: must be one YAML document"},
		"comments alone":      {"# nothing\n", "f.yaml: must be one YAML document"},
		"two documents":       {"name: a\n---\nname: b\n", "f.yaml: must be one YAML document"},
		"no YAML":             {"name: a\nmembers: [b\n", "f.yaml:3: is not YAML: did not find expected ',' or ']'"},
		"a tab":               {"name: a\n\tservices: b\n", "f.yaml:2: is not YAML: found a tab character that violates indentation"},
		"too large":           {"name: " + strings.Repeat("a", strictyaml.MaxSize), "f.yaml: is larger than 1048576 bytes"},
		"a list":              {"- name\n", "f.yaml:1: must be a mapping of names to values"},
		"unknown field":       {"name: a\n\nnick: b\n", "f.yaml:3: nick is not known here; known are name, members, services"},
		"unknown field below": {"name: a\nmembers:\n- name: b\n- name: c\n  nick: d\n", "f.yaml:5: members[1].nick is not known here; known are name, members, services"},
		"other case":          {"Name: a\n", "f.yaml:1: Name is not known here; known are name, members, services"},
		"a key with a line":   {"\"na\\nme\": a\n", `f.yaml:1: "na\nme" is not known here; known are name, members, services`},
		"a field twice":       {"name: a\nservices: {}\nname: b\n", "f.yaml:3: name stands twice, first in line 1"},
		"a key twice":         {"name: a\nservices:\n  s: v\n  s: w\n", "f.yaml:4: services.s stands twice, first in line 3"},
		"a key of no text":    {"name: a\nservices:\n  7: v\n", "f.yaml:3: services has a key in line 3 that is not text"},
		"a mapping as key":    {"name: a\nservices: {{a: b}: c}\n", "f.yaml:2: services has a key in line 2 that is not text"},
		"merge key":           {"name: a\nservices: {<<: {b: c}}\n", "f.yaml:2: services has a key in line 2 that is not text"},
		"missing":             {"members: []\n", "f.yaml:1: name is missing"},
		"missing below":       {"name: a\nmembers:\n- {}\n", "f.yaml:3: members[0].name is missing"},
		"empty text":          {"name: ''\n", "f.yaml:1: name is empty"},
		"nothing":             {"name:\n", "f.yaml:1: name " + text},
		"null":                {"name: null\n", "f.yaml:1: name " + text},
		"a number":            {"name: 12\n", "f.yaml:1: name " + text},
		"a truth":             {"name: true\n", "f.yaml:1: name " + text},
		"bytes":               {"name: !!binary aGk=\n", "f.yaml:1: name " + text},
		"a tag of its own":    {"name: !mine a\n", "f.yaml:1: name " + text},
		"a list for text":     {"name: [a]\n", "f.yaml:1: name " + text},
		"text for a list":     {"name: a\nmembers: b\n", "f.yaml:2: members must be a list"},
		"text for a mapping":  {"name: a\nservices: b\n", "f.yaml:2: services must be a mapping of names to values"},
		"an anchor":           {"name: &n a\n", "f.yaml:1: name has an anchor or an alias, which are not read: write the value out, in quotes if it begins with & or *"},
		"an alias":            {"name: a\nmembers: [&n {name: b}, *n]\n", "f.yaml:2: members has an anchor or an alias, which are not read: write the value out, in quotes if it begins with & or *"},
		"an alias to nothing": {"name: *secret\n", "f.yaml:1: has an anchor or an alias, which are not read: write the value out, in quotes if it begins with & or *"},
		"too deep":            {"name: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "f.yaml:1: name is nested too deep"},
	} {
		t.Run(name, func(t *testing.T) {
			err := read(c.text)
			require.ErrorIs(t, err, strictyaml.ErrFile)
			require.EqualError(t, err, c.message)
		})
	}
}

func TestDepthDoesNotExhaustTheStack(t *testing.T) {
	require.ErrorIs(t, read(strings.Repeat("[", strictyaml.MaxSize)), strictyaml.ErrFile)
	require.ErrorIs(t, read(strings.Repeat("- ", strictyaml.MaxSize/2)), strictyaml.ErrFile)
	require.ErrorIs(t, read(strings.Repeat("{a: ", strictyaml.MaxSize/4)), strictyaml.ErrFile)
}

func TestValuesKnowTheirPlace(t *testing.T) {
	top, err := strictyaml.Parse([]byte("name: \"12\"\nmembers:\n- name: |\n    two\n    lines\n"), "f.yaml")
	require.NoError(t, err)
	fields, err := top.Fields("name", "members")
	require.NoError(t, err)
	name, err := fields["name"].Text()
	require.NoError(t, err)
	require.Equal(t, "12", name)

	members, err := fields["members"].List()
	require.NoError(t, err)
	require.Len(t, members, 1)
	below, err := members[0].Fields("name")
	require.NoError(t, err)
	name, err = below["name"].Text()
	require.NoError(t, err)
	require.Equal(t, "two\nlines\n", name)

	var bad *strictyaml.Error
	require.ErrorAs(t, below["name"].Refuse("is one of %d", 7), &bad)
	require.Equal(t, strictyaml.Error{File: "f.yaml", Line: 3, Field: "members[0].name", Rule: "is one of 7"}, *bad)
}

// FuzzParse: whatever a file holds, reading it ends, with an error of ours or without one.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"name: a\n", "name: a\nmembers:\n- name: b\nservices: {c: d}\n", "a: &a [*a]\n", "--- |\n x\n...\n", "? a\n: b\n", "\xff\xfea\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := read(text); err != nil {
			require.ErrorIs(t, err, strictyaml.ErrFile)
		}
	})
}

func TestBool(t *testing.T) {
	for text, want := range map[string]bool{"v: true": true, "v: false": false} {
		got, err := value(t, text).Bool()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"v: 'true'", "v: yes", "v: True", "v: 1", "v:", "v: [true]", "v: {true: true}", "v: !!bool on"} {
		_, err := value(t, text).Bool()
		require.EqualError(t, err, "f.yaml:1: v must be true or false", text)
	}
	_, err := value(t, "w: true").Bool()
	require.EqualError(t, err, "f.yaml:1: v is missing")
}

// value returns the field v of a text.
func value(t *testing.T, text string) strictyaml.Value {
	t.Helper()
	top, err := strictyaml.Parse([]byte(text), "f.yaml")
	require.NoError(t, err)
	fields, err := top.Fields("v", "w")
	require.NoError(t, err)
	return fields["v"]
}
