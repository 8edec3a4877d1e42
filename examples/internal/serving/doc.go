// Package serving is what the example programs have in common while they serve: one HTTP server, which members reach at any
// time and everybody else only to join.
package serving
