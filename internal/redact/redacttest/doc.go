// Package redacttest looks for secrets in a value, in all the ways in which one could slip out of it: printing, logging, encoding,
// and reading its fields.
//
//	redacttest.Show(key, func(text, how string) { require.NotContains(t, text, secret, how) })
package redacttest
