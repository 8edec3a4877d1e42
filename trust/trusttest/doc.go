// Package trusttest is a hostile network for tests: clusters in memory or on loopback, an attacker between their machines who does
// what a schedule says, disks that fail, and checks of what package trust promises whatever happens.
//
//	func TestHostileNetwork(t *testing.T) {
//		trusttest.Run(t, trusttest.Config{
//			Serve: func(m *trusttest.Machine) (*trust.Service, func(), error) {
//				server, service, err := attach(m.Store, http.NewServeMux()) // the daemon's own code
//				if err != nil {
//					return nil, nil, err
//				}
//				go server.ServeTLS(m.Store.Guard(m.Listener), "", "")
//				return service, func() { server.Close() }, nil
//			},
//		})
//	}
//
// [Run] makes a cluster for each schedule, lets machines join, replace their keys, leave and remove each other while the schedule is
// under way, ends the faults, and lets those try again that failed. In the end it has checked that nobody is a member without the
// passphrase and an approval; that both sides and all stores agree and the members exchange with each other; that strangers, former
// members and former keys reached no handler and cannot join; that nobody heard what no machine said; that everything succeeds once the
// network is good again; and that no wrong proof was counted against an honest machine unless somebody ended its TLS.
//
// A [Schedule] comes from a seed ([Random]), from bytes that a fuzzer makes ([Decode]), or from the text that a failed run
// printed ([Parse]). [Network] and [Disk] can be used without Run.
//
// # What the attacker can do
//
// He owns the network: see [Fault]. He has a certificate of his own, and with [Schedule.Stolen] the keys of all machines, so that
// TLS protects nothing and what is left are the proofs of the protocol. He does not know the passphrase.
//
// # Concurrency
//
// Network and Disk are safe for concurrent use.
//
// # Time
//
// In memory, nothing waits for a socket, so that all of it runs in a testing/synctest bubble, which Run makes. With [Config.Loopback]
// sockets, files and time are real. The fate of a connection
// depends on the schedule, its two machines, and how many there were between them before: never on which came first elsewhere.
//
// See docs/testing.md, "A hostile network".
package trusttest
