package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// verdict is what became of a mutant.
type verdict string

const (
	caught         verdict = "caught"
	survived       verdict = "SURVIVED"
	doesNotApply   verdict = "DOES NOT APPLY"
	doesNotCompile verdict = "DOES NOT COMPILE"
	ranOutOfTime   verdict = "RAN OUT OF TIME"
)

// result is a verdict with what it rests on.
type result struct {
	verdict verdict
	detail  string // for who reads it
	output  string // of the tests
}

// passBefore returns an error if one of the tests fails, or is skipped, or is not there, while nothing is changed.
func passBefore(ctx context.Context, root string, mutants []Mutant) error {
	var dirs []string
	tests := map[string][]string{}
	for _, m := range mutants {
		for _, test := range m.Tests {
			if tests[test.Dir] == nil {
				dirs = append(dirs, test.Dir)
			}
			tests[test.Dir] = append(tests[test.Dir], test.Name)
		}
	}
	for _, dir := range dirs {
		var tops []string
		for _, name := range tests[dir] {
			top, _, _ := strings.Cut(name, "/")
			tops = append(tops, top)
		}
		found, err := goTest(ctx, root, dir, "^("+strings.Join(tops, "|")+")$")
		if err != nil {
			return err
		}
		for _, name := range tests[dir] {
			if found.tests[name] != "pass" || !found.passed {
				return fmt.Errorf("mutants: %s of %s does not pass while nothing is changed\n%s", name, dir, found.output)
			}
		}
	}
	return nil
}

// try applies a mutant to the tree at root, runs its tests, until one of them does not notice, and makes the tree as it was.
func try(ctx context.Context, root string, m Mutant) (_ result, err error) {
	changed, err := apply(os.DirFS(root), m)
	if errors.Is(err, errDoesNotApply) {
		return result{verdict: doesNotApply, detail: err.Error()}, nil
	} else if err != nil {
		return result{}, err
	}
	before, err := replace(root, changed)
	defer func() {
		_, errBack := replace(root, before)
		err = errors.Join(err, errBack)
	}()
	if err != nil {
		return result{}, err
	}
	all := result{verdict: caught}
	for _, test := range m.Tests {
		found, err := goTest(ctx, root, test.Dir, patternOf(test.Name))
		if err != nil {
			return result{}, fmt.Errorf("%s: %w", m.Name, err)
		}
		all.output += found.output
		switch {
		case !found.built:
			return result{doesNotCompile, "", found.output}, nil
		case found.late:
			return result{ranOutOfTime, test.Name, found.output}, nil
		case found.passed:
			return result{survived, test.Name, found.output}, nil
		}
		all.detail += " by " + test.Dir + "." + found.failed()
	}
	all.detail = strings.TrimSpace(all.detail)
	return all, nil
}
