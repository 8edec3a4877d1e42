// Package memberfiles reads and writes directories in which daemons keep whom they trust as one YAML file for each machine,
// and takes such a directory into a trust store, or back out of one.
//
// A file <name>.yaml says
//
//	name: micro01
//	address: 10.0.0.101:9443
//	certificate: |
//	  -----BEGIN CERTIFICATE-----
//	  …
//
// On one machine, [Found] makes a cluster of what its files name:
//
//	members, err := memberfiles.Read(dir)
//	err = memberfiles.Found(ctx, store, members)
//	err = certstore.WriteStatements(w, certstore.Batch{Cluster: cluster, Statements: store.Statements()})
//
// The others take what it wrote, each by its own files, and [Export] keeps the files as the store has it, for whoever reads
// them still:
//
//	err = memberfiles.Adopt(ctx, store, members, r)
//	err = memberfiles.Export(dir, store.Snapshot())
//
// Any of the two is one step: after an error or a crash the machine is in the cluster or in none.
//
// # Threat model
//
// Whoever can write the files decides who is trusted, as before: they are refused if others than the owner may write them.
// What is read is checked whole, and is a list of machines or an error that names file, line, field and rule; a file that
// cannot be read is never left out. Statements from another machine count only if a machine that the own files name has
// signed each of them, and if they make members of exactly those machines, so they may come over any channel.
//
// # Concurrency and time
//
// The functions keep no state. Whoever reads while others write finds whole files; of several who write at the same time,
// some may get an error. [Found] and [Adopt] look at the clock, since a certificate that is not valid now would be
// distrusted.
package memberfiles
