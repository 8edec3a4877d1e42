// Package client is the program joinclient: it makes this machine a member of a cluster, in a dialogue with a person or
// unattended. Run is the whole program; everything else is in service of it.
package client
