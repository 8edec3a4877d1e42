package main

import (
	"fmt"
	"strings"
)

const (
	listFolder = "internal/mutants/list"
	document   = "docs/mutants.md"
)

const documentHead = "# Mutants\n\n" +
	"Small sabotages of the library's own code, one at a time, and the test that notices each of them.\n" +
	"`go run ./internal/mutants` applies them and runs the tests; one that nobody notices is an error. The tool's `-write` makes\n" +
	"this document from the lists in `" + listFolder + "`; a test checks that every mutant still applies, and that the\n" +
	"document is current. [Security figures](security-figures.md#mutants) say what came of the last run of all of them.\n"

// render returns the document.
func render(mutants []Mutant) string {
	var b strings.Builder
	b.WriteString(documentHead)
	last := ""
	for _, m := range mutants {
		room, name, _ := strings.Cut(m.Name, "/")
		if room != last {
			fmt.Fprintf(&b, "\n## %s\n\n| mutant | what is sabotaged | noticed by |\n|---|---|---|\n", room)
			last = room
		}
		var tests []string
		for _, test := range m.Tests {
			tests = append(tests, test.Name+" in `"+test.Dir+"`")
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, strings.ReplaceAll(m.Text, "|", `\|`), strings.Join(tests, ", "))
	}
	return b.String()
}
