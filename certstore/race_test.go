//go:build race

package certstore_test

// raceEnabled says whether the race detector is watching.
const raceEnabled = true
