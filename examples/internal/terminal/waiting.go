package terminal

import (
	"fmt"
	"sync"
	"time"
)

// Intervals of the signs of life: of the one that moves on a terminal, and of the lines elsewhere.
const (
	frameTime = 125 * time.Millisecond
	lineTime  = 5 * time.Second
)

// Waiting shows that the program is alive while it waits for something.
type Waiting struct {
	screen *Screen
	done   chan struct{}
	over   sync.WaitGroup

	mu    sync.Mutex
	what  string
	since time.Time
}

// Wait begins to show that the program waits. Stop it.
func (s *Screen) Wait(what string) *Waiting {
	w := &Waiting{screen: s, done: make(chan struct{}), what: what, since: time.Now()}
	every := lineTime
	if s.Terminal() {
		every = frameTime
	}
	w.over.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for frame := 0; ; frame++ {
			if s.Terminal() || frame > 0 {
				w.show(frame)
			}
			select {
			case <-ticks.C:
			case <-w.done:
				return
			}
		}
	})
	return w
}

// For says what the program waits for now, and counts the time anew.
func (w *Waiting) For(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.what, w.since = what, time.Now()
}

// Stop ends it and clears the last line.
func (w *Waiting) Stop() {
	close(w.done)
	w.over.Wait()
	w.screen.Status("")
}

func (w *Waiting) show(frame int) {
	w.mu.Lock()
	what, elapsed := w.what, time.Since(w.since)
	w.mu.Unlock()
	if w.screen.Terminal() {
		w.screen.Status(fmt.Sprintf("%c %s, %s", `|/-\`[frame%4], what, Duration(elapsed)))
	} else {
		w.screen.Linef("still %s, %s", what, Duration(elapsed))
	}
}

// Duration shows a time span in minutes and seconds.
func Duration(d time.Duration) string {
	d = d.Round(time.Second)
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}
