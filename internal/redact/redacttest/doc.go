// Package redacttest looks at a value in all the ways in which a secret could slip out of it: printing, logging, encoding.
//
//	redacttest.Show(key, func(text, how string) { require.NotContains(t, text, secret, how) })
package redacttest
