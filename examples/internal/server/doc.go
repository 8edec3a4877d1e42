// Package server is the program joinserver: it lets machines into a cluster, in a dialogue with a person or unattended, and
// serves the members. Run is the whole program; everything else is in service of it.
package server
