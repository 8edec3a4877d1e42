// Joinclient is the joining side of a join: it asks for the passphrase that joinserver shows on a machine of the cluster, shows
// fingerprints to compare, waits for the approval there, and ends with the list of members. The README says how to use the two
// programs, with and without a person; joinclient -h lists flags and exit codes.
package main

import (
	"github.com/microtrust/microtrust/examples/internal/client"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

func main() { terminal.Main(client.Run) }
