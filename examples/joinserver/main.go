// Joinserver is the cluster's side of a join: it opens a trust session, shows passphrase and fingerprint, asks for each machine
// that wants to join, and stays up serving the members. The README says how to use it together with joinclient, with and
// without a person; joinserver -h lists flags and exit codes.
package main

import (
	"github.com/microtrust/microtrust/examples/internal/server"
	"github.com/microtrust/microtrust/examples/internal/terminal"
)

func main() { terminal.Main(server.Run) }
