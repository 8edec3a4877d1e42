package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// modelDir holds the model of the join, whose tests look for attacks.
const modelDir = "docs/model"

// errList is wrapped by every error about a list that cannot be read.
var errList = errors.New("mutants: a list")

// Mutant is one sabotage, and the tests that have to notice it.
type Mutant struct {
	// Name is the name of its list, a slash, and its name there.
	Name string
	// Text says what is sabotaged.
	Text string
	// Edits are all made at once. There is at least one.
	Edits []Edit
	// Tests must each fail under the mutant. There is at least one.
	Tests []Test
}

// Edit replaces a text in a file.
type Edit struct {
	// File is the path from the top of the repository, with slashes.
	File string
	// Old must be in the file exactly once.
	Old string
	// New takes its place.
	New string
}

// Test is a test of a package.
type Test struct {
	// Dir is the package's directory from the top of the repository, with slashes.
	Dir string
	// Name is the test's name, of a subtest after its parent's name and a slash.
	Name string
}

// isModel reports whether the test looks for attacks in the model of the join.
func (t Test) isModel() bool { return t.Dir == modelDir }

// loadLists reads all lists in a folder, sorted by room.
func loadLists(folder fs.FS) ([]Mutant, error) {
	names, err := fs.Glob(folder, "*.txt")
	if err != nil {
		return nil, err
	}
	var all []Mutant
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		mutants, err := parseList(strings.TrimSuffix(path.Base(name), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, mutants...)
	}
	return all, nil
}

// parseList reads the list of one room.
func parseList(room, text string) ([]Mutant, error) {
	var mutants []Mutant
	names := map[string]bool{}
	entry := &entry{}
	for i, line := range strings.Split(text+"\n", "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		if line != "" {
			if err := entry.add(room, line); err != nil {
				return nil, fmt.Errorf("%w: %s.txt:%d: %w", errList, room, i+1, err)
			}
			continue
		}
		if entry.Name == "" {
			continue
		}
		if len(entry.Edits) == 0 || len(entry.Tests) == 0 || names[entry.Name] {
			return nil, fmt.Errorf("%w: %s.txt:%d: %s has no edit, no test, or a name that is taken", errList, room, i+1, entry.Name)
		}
		names[entry.Name] = true
		mutants = append(mutants, entry.Mutant)
		entry.Mutant, entry.file, entry.sign = Mutant{}, "", 0
	}
	return mutants, nil
}

// entry is a mutant of which some lines have been read.
type entry struct {
	Mutant
	file string // of the edit that is being read
	sign byte   // of the line before, if it belongs to an edit
}

// add reads one line.
func (e *entry) add(room, line string) error {
	if e.Name == "" {
		name, text, ok := strings.Cut(line, ": ")
		if !ok || strings.ContainsAny(name, " /") {
			return errors.New("an entry begins with NAME: SENTENCE")
		}
		e.Name, e.Text = room+"/"+name, text
		return nil
	}
	before := e.sign
	e.sign = 0
	words := strings.Fields(line)
	switch {
	case line == "-" || line == "+" || strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "+ "):
		e.sign = line[0]
		return e.change(before, strings.TrimPrefix(line[1:], " "))
	case words[0] == "edit" && len(words) == 2:
		e.file = words[1]
	case words[0] == "test" && len(words) == 3:
		e.Tests = append(e.Tests, Test{Dir: words[1], Name: words[2]})
	default:
		return fmt.Errorf("a line that begins with %q", words[0])
	}
	return nil
}

// change reads a line of an edit. The sign of the line before says whether it continues a text.
func (e *entry) change(before byte, text string) error {
	if e.file == "" {
		return errors.New("a text without a file")
	}
	if e.sign == '-' && before != '-' {
		e.Edits = append(e.Edits, Edit{File: e.file, Old: text})
		return nil
	}
	if before == 0 {
		return errors.New("a new text without an old one")
	}
	edit := &e.Edits[len(e.Edits)-1]
	switch {
	case e.sign == '-':
		edit.Old += "\n" + text
	case before == '-':
		edit.New = text
	default:
		edit.New += "\n" + text
	}
	return nil
}

// forModel returns what is to be run of the mutants: the tests of the model alone, or all others.
func forModel(mutants []Mutant, model bool) (chosen []Mutant) {
	for _, m := range mutants {
		m.Tests = slices.DeleteFunc(slices.Clone(m.Tests), func(t Test) bool { return t.isModel() != model })
		if len(m.Tests) > 0 {
			chosen = append(chosen, m)
		}
	}
	return chosen
}
