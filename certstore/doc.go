// Package certstore keeps the certificates that the members of a cluster trust.
package certstore
