package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/microtrust/microtrust/examples/internal/terminaltest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBadArgumentsAreRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	tests := map[string][]string{
		"no directory":      {"-name", "micro01"},
		"no name":           {"-dir", dir},
		"unknown flag":      {"-dir", dir, "-name", "micro01", "-x"},
		"bad name":          {"-dir", dir, "-name", "Micro_01"},
		"taken address":     {"-dir", dir, "-name", "micro01", "-listen", "203.0.113.1:1"},
		"bad fingerprint":   {"-dir", dir, "-name", "micro01", "-join", "127.0.0.1:1", "-fingerprint", "12"},
		"nothing to listen": {"-dir", dir, "-name", "micro01", "-join", "127.0.0.1:1", "-fingerprint", strings.Repeat("0", 64)},
	}
	for reason, args := range tests {
		t.Run(reason, func(t *testing.T) {
			p := terminaltest.Start(t, run, args...)
			p.CloseInput()
			require.Equal(t, 1, p.End())
			require.NotEmpty(t, p.Stderr.String())
		})
	}
}

func TestEmbed(t *testing.T) {
	dir := t.TempDir()
	first := terminaltest.Start(t, run, "-dir", filepath.Join(dir, "1"), "-name", "micro01", "-listen", "127.0.0.1:0", "-invite", "micro02")
	address := first.Stdout.Await(`^address: (\S+)$`)[1]
	passphrase := first.Stdout.Await(`^passphrase: (.+)$`)[1]
	fingerprint := first.Stdout.Await(`^fingerprint: (.+)$`)[1]

	second := terminaltest.Start(t, run, "-dir", filepath.Join(dir, "2"), "-name", "micro02", "-join", address, "-fingerprint", fingerprint)
	second.Type(passphrase)
	second.Stdout.Await(`^micro01 says: hello micro02$`)
	second.Stdout.Await(`^serving`)
	first.Stdout.Await(`^serving`)
	for _, p := range []*terminaltest.Program{second, first} {
		p.Interrupt()
		require.Equal(t, 0, p.End(), p.Stderr)
	}
}
