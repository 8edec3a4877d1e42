package main

import (
	"fmt"
	"io"
	"sync"
)

// screen shows the lines of several machines on one terminal, each with the name of its machine.
type screen struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *screen) title(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n== %s\n", text)
}

func (s *screen) show(machine, format string, args ...any) {
	s.lines(machine, fmt.Sprintf(format, args...))
}

// lines shows lines that belong together.
func (s *screen) lines(machine string, lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range lines {
		fmt.Fprintf(s.out, "%-8s| %s\n", machine, line)
	}
}
