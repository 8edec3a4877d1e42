// Package disk changes files so that a crash, or a loss of power, leaves what was there or what is new, and no part of it.
//
//	dir, err := disk.Open("/var/lib/daemon")
//	err = disk.Replace(dir, "state", "state.new", data)
package disk
