package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// timeLimit ends a test that does not end by itself, which is an error, so that it is far more than all tests of a package take that have to
// pass before.
const timeLimit = "8m"

// shortCampaign is enough for the test of power cuts to notice a precaution that is missing (docs/testing.md).
const shortCampaign = "MICROTRUST_CRASH_CUTS=5000"

// outcome is what one run of the go command said.
type outcome struct {
	built  bool
	late   bool              // something ran out of time
	passed bool              // all of it
	tests  map[string]string // how each test ended, by its name: pass, fail or skip; "" if it was begun and did not end
	output string
}

// event is a line of go test -json.
type event struct {
	Action, Test, Output, FailedBuild string
}

// goTest runs tests of the package in a directory of the tree at root, without their results of earlier runs. It is run in there, since
// the directory may be a module of its own.
func goTest(ctx context.Context, root, dir, pattern string) (outcome, error) {
	command := exec.CommandContext(ctx, "go", "test", "-json", "-vet=off", "-count=1", "-failfast", "-timeout", timeLimit, "-run", pattern, ".")
	command.Dir = filepath.Join(root, filepath.FromSlash(dir))
	command.Env = append(os.Environ(), shortCampaign)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return outcome{}, err
	}
	found, readErr := readEvents(stdout)
	if readErr != nil {
		return outcome{}, fmt.Errorf("go test in %s: %w\n%s", dir, readErr, stderr.Bytes())
	}
	found.passed = err == nil
	if !found.passed && found.built && len(found.tests) == 0 {
		return outcome{}, fmt.Errorf("go test in %s: %w\n%s%s", dir, err, found.output, stderr.Bytes())
	}
	return found, ctx.Err()
}

func readEvents(stdout []byte) (outcome, error) {
	found := outcome{built: true, tests: map[string]string{}}
	var output strings.Builder
	decoder := json.NewDecoder(bytes.NewReader(stdout))
	for decoder.More() {
		var e event
		if err := decoder.Decode(&e); err != nil {
			return outcome{}, err
		}
		output.WriteString(e.Output)
		if strings.HasPrefix(e.Output, "panic: test timed out after ") {
			found.late = true
		}
		switch e.Action {
		case "build-fail":
			found.built = false
		case "fail":
			if e.FailedBuild != "" {
				found.built = false
			}
			fallthrough
		case "pass", "skip":
			if e.Test != "" {
				found.tests[e.Test] = e.Action
			}
		case "run":
			found.tests[e.Test] = ""
		}
	}
	found.output = output.String()
	return found, nil
}

// failed returns the test that failed, the deepest if it is one of several levels. Where none did, what failed is what the package
// checks after its tests.
func (o outcome) failed() string {
	deepest := "TestMain"
	for _, name := range slices.Sorted(maps.Keys(o.tests)) {
		if verdict := o.tests[name]; verdict == "fail" || verdict == "" {
			if deepest == "TestMain" || strings.HasPrefix(name, deepest+"/") {
				deepest = name
			}
		}
	}
	return deepest
}

// patternOf returns the argument of -run that chooses a test or subtest alone.
func patternOf(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
