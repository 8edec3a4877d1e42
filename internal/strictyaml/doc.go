// Package strictyaml reads files that people write: one YAML document, of which every key is known and every value is of
// the kind that is meant, or an error that names file, line, field and rule.
//
//	top, err := strictyaml.Parse(text, "cluster.yaml")
//	fields, err := top.Fields("initiator", "members")
//	initiator, err := fields["initiator"].Text()
//
// It takes less than YAML has. A key stands once. Text is text: 12, true and null are none until they stand in quotes.
// Anchors, aliases, merge keys, tags of one's own and further documents are refused: what a file says stands where it is
// read.
//
// # Threat model
//
// Files belong to whoever runs the machine, but may be damaged, half written or large. Work and memory are linear in the
// size of a text, which is bounded. A value may be a secret: no error contains one, nor any other text of the file than
// the names of keys, cut and quoted.
//
// # Concurrency and time
//
// A [Value] is immutable. Nothing here keeps a state or reads a clock.
package strictyaml
