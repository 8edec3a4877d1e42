// Package pipe makes connections that stay in memory, for tests in which time is not real.
package pipe
