// Package unattended makes one cluster of machines that a file names, with nobody at any of them: every machine runs the same
// call with the same file, in any order, and each ends by itself, when all are members or with who is missing and why.
//
//	plan, err := unattended.Load("cluster.yaml")
//	report, err := plan.Run(ctx, unattended.Machine{Store: store, Service: service, Addresses: []string{"10.0.0.2:9443"}})
//	if missing, ok := errors.AsType[*unattended.MissingError](err); ok {
//		fmt.Println(missing.Missing)
//	}
//
// The file is YAML:
//
//	initiator: micro01             # the machine that lets the others in: a member's name, or host:port
//	passphrase_file: passphrase    # beside this file, for its owner alone; or passphrase: …
//	timeout: 10m                   # how long each machine waits for the others
//	services: {storage: "19.2"}    # what every machine must have; may be left out
//	members:
//	  - name: micro01
//	    address: 10.0.0.1:9443
//	    fingerprint: 5f0c…         # in full; of the initiator it is required, or insecure_skip_fingerprint: true
//	  - name: micro02
//	  - name: micro03
//
// [Parse] says which keys there are. Without an address of the initiator, interface: eth0 has it found on that link by package
// discovery.
//
// # How it ends
//
// A machine has met another one when that is a member, and has been called where it says that it is reached, and both had the
// same statements then. Each that has met all others says so in its profile (attribute "unattended"), and nobody ends well before
// everybody has said so. A machine that dies in the middle has not, so every other one names it. One that gives up says so
// too, and is not taken for dead by those that started later.
//
// Running a plan again is safe, after a crash too: what was done is not done again. Members that the plan does not name
// are left alone.
//
// # Threat model
//
// It is that of package trust with a passphrase that was chosen by whoever wrote the file: ten wrong proofs end it. Who can read
// the file can join under a name that has no fingerprint in it, before the machine that is meant does. A fingerprint in the
// file is compared by both sides. With insecure_skip_fingerprint, who can read the file can also be a man in the middle between
// a joiner and the initiator. A machine that has joined can lie about whom it has met, which costs the others their certainty
// and nothing else.
//
// # Concurrency
//
// A Plan may be run by several machines of one process at once. When Run returns, no goroutine of it is left. Callbacks
// of one Run come one after the other.
//
// # Time
//
// The time of the file is counted from the beginning of Run, on each machine.
package unattended
