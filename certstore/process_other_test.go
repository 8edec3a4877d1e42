//go:build !linux

package certstore_test

// fillDisk needs a limit that only some systems have.
func fillDisk(string) {}
