package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Screen is the output of a program: lines for a person, or one event per line for a program that reads them. On a terminal
// its last line is the open question, or else a status that is drawn in place. It is safe for concurrent use.
type Screen struct {
	mu       sync.Mutex
	out      io.Writer
	events   bool
	terminal *os.File // nil unless out is a terminal
	question string
	status   string
}

// NewScreen returns a screen on out. With events, Event prints and everything else is silent; without, it is the other way
// round.
func NewScreen(out io.Writer, events bool) *Screen {
	s := &Screen{out: out, events: events}
	if f, ok := out.(*os.File); ok && !events && term.IsTerminal(int(f.Fd())) {
		s.terminal = f
	}
	return s
}

// Lines prints lines that belong together.
func (s *Screen) Lines(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.events || len(lines) == 0 {
		return
	}
	s.clear()
	io.WriteString(s.out, strings.Join(lines, "\n")+"\n")
	s.draw()
}

// Linef prints one line.
func (s *Screen) Linef(format string, args ...any) { s.Lines(fmt.Sprintf(format, args...)) }

// Indented prints a heading and lines under it.
func (s *Screen) Indented(heading string, lines ...string) {
	all := []string{heading}
	for _, line := range lines {
		all = append(all, "  "+line)
	}
	s.Lines(all...)
}

// Ask shows a question and keeps it on the last line until Answered. It returns when it was shown: what was typed before was
// not meant for it.
func (s *Screen) Ask(question string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.events {
		s.clear()
		s.question = question
		if s.terminal == nil {
			io.WriteString(s.out, question+"\n")
		}
		s.draw()
	}
	return time.Now()
}

// Answered ends the open question. typed says that somebody pressed Enter, so that the terminal is on a new line already.
func (s *Screen) Answered(typed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.question == "" {
		return
	}
	s.question = ""
	if s.terminal != nil && !typed {
		io.WriteString(s.out, "\n")
	}
	s.draw()
}

// Status shows a text in place on a terminal while no question is open; elsewhere it shows nothing. An empty one clears it.
func (s *Screen) Status(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.terminal == nil || s.status == text:
	case s.question != "": // what is being typed stays on the screen
		s.status = text
	default:
		s.clear()
		s.status = text
		s.draw()
	}
}

// Terminal reports whether there is a person to look at the screen.
func (s *Screen) Terminal() bool { return s.terminal != nil }

// clear takes question or status away from the last line; the caller holds the lock.
func (s *Screen) clear() {
	if s.terminal != nil && (s.question != "" || s.status != "") {
		io.WriteString(s.out, "\r\x1b[K")
	}
}

// draw puts question or status on the last line; the caller holds the lock.
func (s *Screen) draw() {
	if s.terminal == nil {
		return
	}
	if s.question != "" {
		io.WriteString(s.out, s.question)
		return
	}
	text := []rune(s.status)
	if width, _, err := term.GetSize(int(s.terminal.Fd())); err == nil && width > 0 && len(text) >= width {
		text = text[:width-1] // a line that wraps cannot be drawn in place
	}
	io.WriteString(s.out, string(text))
}
