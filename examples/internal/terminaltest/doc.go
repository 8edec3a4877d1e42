// Package terminaltest is for the tests of the example programs: it runs one like a process, types into it, and waits for what
// it prints.
package terminaltest
