// The command mutants sabotages the library in one place at a time, and runs the test that has to notice:
//
//	go run ./internal/mutants                        every mutant
//	go run ./internal/mutants -sample 12 -seed 7     twelve of them
//	go run ./internal/mutants -room hmacauth         those of one list
//	go run ./internal/mutants -model -v              the negative models, with what the tests print
//	go run ./internal/mutants trust/approval-unbound one mutant
//	go run ./internal/mutants -list                  names and what they sabotage
//	go run ./internal/mutants -write                 docs/mutants.md
//
// It is started at the top of the repository and changes nothing there but that document: it works on a copy, so that tests that
// read the source, or build programs, see the mutant as well. First, the tests must pass without any change. Then each mutant must
// make the tests that its entry names fail. One that survives, no longer applies, does not compile or runs out of time is an
// error, and so is a test that is skipped. Files and tests may be those of the modules inside the repository.
//
// # The lists
//
// list/ROOM.txt holds the mutants of a room. Entries are separated by empty lines; lines that begin with # are comments.
//
//	name: What is sabotaged, in a sentence.
//	edit hmacauth/schedule.go
//	- the old text, which the file must contain exactly once
//	+ the new text
//	test hmacauth TestKeySchedule
//
// Several lines of one sign in a row are one text of several lines. Without new lines the old text is taken away. A mutant
// may have several such pairs in a file, and several files. Each test named must notice by itself. Those in docs/model make the
// mutant a negative model: without the defence that it takes out, the explorer has to find an attack.
package main
