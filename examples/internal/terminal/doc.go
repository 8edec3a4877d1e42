// Package terminal is what the example programs have in common on the side of the person or the script: fingerprints in one
// form, questions and answers, signs of life, events as lines of JSON, exit codes. It is part of the examples and not of the
// library, which never writes to a terminal.
package terminal
