package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// The three roles are processes of this very program, so that what each spends and holds can be told apart.
const (
	roleVariable = "MICROTRUST_ABUSE_ROLE"
	roleServer   = "server"
	roleHonest   = "honest"
	roleAttacker = "attacker"
)

// play reads what a role is told from standard input and runs it.
func play(ctx context.Context, role string) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	switch role {
	case roleServer:
		return serve(ctx, in, out)
	case roleHonest:
		return beHonest(ctx, in, out)
	case roleAttacker:
		return attackOnce(ctx, in, out)
	}
	return fmt.Errorf("no role is called %q", role)
}

// process is a role that runs.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	say *json.Encoder
	out *json.Decoder
}

func startRole(ctx context.Context, role string, told any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.say, p.out = json.NewEncoder(p.in), json.NewDecoder(bufio.NewReader(out))
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, p.say.Encode(told)
}

// end lets the process come to its end.
func (p *process) end() error {
	p.in.Close()
	return p.cmd.Wait()
}

// processor returns the time that the process has computed so far, in both modes.
func (p *process) processor() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", p.cmd.Process.Pid, len(fields))
	}
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil // USER_HZ, which Linux has fixed for programs
}

// peak returns the most memory that the process has held so far, in bytes.
func (p *process) peak() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.cmd.Process.Pid)
	}
	kilobytes, err := strconv.Atoi(fields[0])
	return kilobytes << 10, err
}
