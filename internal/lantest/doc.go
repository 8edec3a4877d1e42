// Package lantest is for tests that need a network: on Linux it makes machines in network namespaces of their own, on a bridge that
// can lose frames, and from which machines can be cut off. Nothing of it touches the networks of the machine that runs the tests.
//
// Tests with these run where MICROTRUST_NETWORKS is set and the kernel permits it, and skip with a message elsewhere; see
// docs/testing.md. [FreeAddress] and [Loopback] need none of that.
package lantest
