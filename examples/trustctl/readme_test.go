package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeListsExitCodesAndCommands: the table in the README is the one that -h prints, and every command is shown.
func TestReadmeListsExitCodesAndCommands(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(readme), "## Looking after a cluster\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	rows := []string{"| exit code | trustctl |", "|---|---|"}
	for _, m := range codeMeanings() {
		rows = append(rows, fmt.Sprintf("| %d | %s |", m.code, m.text))
	}
	require.Contains(t, section, strings.Join(rows, "\n")+"\n")
	for _, c := range commands() {
		require.Regexp(t, `(?m)^trustctl -dir \S+ `+c.name+`\b`, section)
	}
}
