//go:build unix

package certstore_test

import "syscall"

// Tests make directories in which others may not write, whatever the umask of whoever runs them says.
var _ = syscall.Umask(0o022)
