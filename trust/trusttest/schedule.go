package trusttest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Schedule is everything that goes wrong in a run: plain data. What it does not name goes well.
type Schedule struct {
	// Fates are those of connections; of several for one connection, the first counts.
	Fates []Fate
	// Disks are what happens to disks.
	Disks []DiskFate
	// Splits divide the network for a time.
	Splits []Split
	// Changes are what members do when the joins are over.
	Changes []Change
	// Stolen says that the attacker has the private keys of all machines, so that he can end TLS unnoticed.
	Stolen bool
	// Unpinned says that joiners do not know the fingerprint of who they join, and let the passphrase decide.
	Unpinned bool
}

// DiskFate is what happens to one write of a machine's disk.
type DiskFate struct {
	Machine string    // whose disk
	N       int       // how many writes there were before it
	Fault   DiskFault // what goes wrong
}

// String returns the line of a schedule that Parse reads.
func (d DiskFate) String() string { return fmt.Sprintf("disk %s %d %v", d.Machine, d.N, d.Fault) }

// Split divides the network for a time: nothing passes between a group of machines and all others, and what is on its way waits.
type Split struct {
	Group []string      // the machines on one side; at least one
	After int           // it begins when so many writes have passed between the two sides
	Wait  time.Duration // how long
}

// String returns the line of a schedule that Parse reads.
func (s Split) String() string {
	return fmt.Sprintf("split %s %d %v", strings.Join(s.Group, ","), s.After, s.Wait)
}

// Bounds of random schedules. A join takes about 4000 bytes in each direction, and six messages.
const (
	fatesOfJoins  = 4 // connections from a machine to the first one that may have a fate
	fatesOfOthers = 2 // likewise, between the other machines
	farthest      = 4000
	mostMessages  = 6
	mostWait      = 20 // seconds
)

// Random returns the schedule that a seed stands for, among these machines, of which the others join the first one.
func Random(seed uint64, machines ...string) Schedule {
	return draw(rand.NewPCG(seed, 0).Uint64, machines)
}

// Decode returns the schedule that bytes stand for, among these machines. Every input is a schedule; the empty one has no fault.
func Decode(data []byte, machines ...string) Schedule {
	return draw(func() uint64 {
		var word [2]byte
		data = data[copy(word[:], data):]
		return uint64(binary.LittleEndian.Uint16(word[:]))
	}, machines)
}

// draw makes a schedule from numbers, of which zeros make nothing go wrong.
func draw(number func() uint64, machines []string) (s Schedule) {
	pick := func(n int) int { return int(number() % uint64(n)) }
	s.Stolen, s.Unpinned = pick(2) == 1, pick(3) > 0
	for _, from := range machines {
		for i, to := range machines {
			most := fatesOfOthers
			if i == 0 {
				most = fatesOfJoins
			}
			for n := range most {
				if f := (Fate{From: from, To: to, N: n}); from != to && pick(4) > n/2 {
					f.draw(pick)
					s.Fates = append(s.Fates, f)
				}
			}
		}
	}
	for i, m := range machines {
		if pick(8) == 1 {
			s.Disks = append(s.Disks, DiskFate{m, pick(4), DiskFault(pick(int(numDiskFaults)))})
		}
		if pick(8) == 1 {
			s.Splits = append(s.Splits, Split{group(machines, i), pick(40), time.Duration(1+pick(mostWait)) * time.Second})
		}
	}
	s.drawChanges(pick, machines)
	return s
}

// drawChanges lets somebody rotate, and somebody leave or be removed.
func (s *Schedule) drawChanges(pick func(int) int, machines []string) {
	n := len(machines)
	if n < 2 {
		return
	}
	if pick(3) == 1 {
		s.Changes = append(s.Changes, Change{Kind: Rotate, Machine: machines[pick(n)]})
	}
	by := pick(n)
	switch pick(6) {
	case 1:
		s.Changes = append(s.Changes, Change{Kind: Leave, Machine: machines[by]})
	case 2:
		s.Changes = append(s.Changes, Change{Kind: Remove, Machine: machines[by], Whom: machines[(by+1+pick(n-1))%n]})
	}
}

// group returns the smaller side of a division that begins with a machine.
func group(machines []string, first int) []string {
	return slices.Clone(machines[first:min(first+max(len(machines)/2, 1), len(machines))])
}

// draw makes something go wrong with a connection.
func (f *Fate) draw(pick func(int) int) {
	f.Toward = Toward(pick(2))
	if pick(2) == 0 {
		f.Fault, f.At = Fault(1+pick(int(Middle)-1)), pick(farthest)
	} else {
		f.Fault, f.At = Middle+Fault(pick(int(numFaults-Middle))), pick(mostMessages)
	}
	f.Size, f.Wait = pick(16), time.Duration(pick(mostWait*1000))*time.Millisecond
}

// String returns the schedule as text, a line for each thing, which Parse reads.
func (s Schedule) String() string {
	var b strings.Builder
	if s.Stolen {
		b.WriteString("stolen\n")
	}
	if s.Unpinned {
		b.WriteString("unpinned\n")
	}
	for _, f := range s.Fates {
		fmt.Fprintln(&b, f)
	}
	for _, d := range s.Disks {
		fmt.Fprintln(&b, d)
	}
	for _, p := range s.Splits {
		fmt.Fprintln(&b, p)
	}
	for _, ch := range s.Changes {
		fmt.Fprintln(&b, ch)
	}
	return b.String()
}

// ErrSchedule is wrapped by what Parse says of a text that is no schedule.
var ErrSchedule = errors.New("trusttest: not a schedule")

// Parse reads what Schedule.String wrote: a finding that is kept as a case. Empty lines and those that begin with # are passed
// over. The error wraps ErrSchedule and has the line.
func Parse(text string) (s Schedule, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.parseLine(line); err != nil {
			return Schedule{}, fmt.Errorf("%w: %q: %w", ErrSchedule, line, err)
		}
	}
	return s, nil
}

func (s *Schedule) parseLine(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	var fault, toward, wait string
	scan := func(into ...any) {
		if _, err = fmt.Sscan(rest, into...); err == nil && len(strings.Fields(rest)) != len(into) {
			err = errors.New("too many words")
		}
	}
	named := func(names []string, name string) int {
		i := slices.Index(names, name)
		if i < 0 && err == nil {
			err = fmt.Errorf("nothing is called %q", name)
		}
		return max(i, 0)
	}
	lasts := func() (d time.Duration) {
		if err == nil {
			d, err = time.ParseDuration(wait)
		}
		return d
	}
	switch word {
	case "stolen":
		s.Stolen = true
	case "unpinned":
		s.Unpinned = true
	case "fate":
		var f Fate
		scan(&f.From, &f.To, &f.N, &fault, &toward, &f.At, &f.Size, &wait)
		f.Fault = Fault(named(faultNames(), fault))
		f.Toward, f.Wait = Toward(named([]string{"server", "client"}, toward)), lasts()
		if f.At < 0 || f.Size < 0 {
			err = errors.New("a number is negative")
		}
		s.Fates = append(s.Fates, f)
	case "disk":
		var d DiskFate
		scan(&d.Machine, &d.N, &fault)
		d.Fault = DiskFault(named(diskFaultNames(), fault))
		s.Disks = append(s.Disks, d)
	case "split":
		var p Split
		var group string
		scan(&group, &p.After, &wait)
		p.Group, p.Wait = strings.Split(group, ","), lasts()
		if slices.Contains(p.Group, "") {
			err = errors.New("a machine has no name")
		}
		s.Splits = append(s.Splits, p)
	case "rotate", "leave", "remove":
		ch := Change{Kind: ChangeKind(named(changeNames(), word))}
		if ch.Kind == Remove {
			scan(&ch.Machine, &ch.Whom)
		} else {
			scan(&ch.Machine)
		}
		s.Changes = append(s.Changes, ch)
	default:
		err = fmt.Errorf("%q is none of fate, disk, split, rotate, leave, remove, stolen, unpinned", word)
	}
	return err
}

// fate returns that of the n-th connection between two machines.
func (s *Schedule) fate(from, to string, n int) Fate {
	for _, f := range s.Fates {
		if f.From == from && f.To == to && f.N == n {
			return f
		}
	}
	return Fate{From: from, To: to, N: n}
}

// middles reports whether somebody may end TLS.
func (s *Schedule) middles() bool {
	return slices.ContainsFunc(s.Fates, func(f Fate) bool { return f.Fault >= Middle })
}
