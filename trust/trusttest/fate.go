package trusttest

import (
	"fmt"
	"time"
)

// Fault is what goes wrong with a connection.
type Fault uint8

// The faults. All of them begin where Fate.At says; "the direction" is that of Fate.Toward. Those up to Reflect act on bytes, which
// TLS protects. Those from Middle on end TLS in the middle, with certificates of the attacker's own in both directions, and act on
// the HTTP messages inside it.
const (
	None     Fault = iota // everything arrives
	Refuse                // nobody can be connected to
	Silence               // nothing arrives any more, in the direction; the connection stays open
	Delay                 // what is written at once is held back for Wait, and all that follows, in the direction
	Cut                   // both ends find the connection closed
	Truncate              // what was written at once loses its end
	Corrupt               // one bit is another one; Size says which of the byte
	Repeat                // in place of everything, the bytes of the connection before come again, in the direction
	Reorder               // what was written at once changes places with what comes after it
	Reflect               // everything goes back to its sender, in the direction
	Splice                // what was written at once is replaced by as much of the connection before

	Middle         // all messages are passed on as they are
	MessageDrop    // a message is lost, and the connection with it
	MessageRepeat  // a request comes twice; a reply comes again in place of the next one
	MessageReorder // a request is followed by the one before it; replies change places
	MessageReflect // a message goes back to its sender, with its MAC
	MessageSplice  // a message gets the body, or the header (odd Size), of the one before it to the same endpoint on another connection
	MessageAlter   // something in a message is changed; Size says what

	numFaults
)

func faultNames() []string {
	return []string{
		"none", "refuse", "silence", "delay", "cut", "truncate", "corrupt", "repeat", "reorder", "reflect", "splice",
		"middle", "message-drop", "message-repeat", "message-reorder", "message-reflect", "message-splice", "message-alter",
	}
}

// String returns the name that schedules are written with.
func (f Fault) String() string {
	if f < numFaults {
		return faultNames()[f]
	}
	return fmt.Sprintf("Fault(%d)", uint8(f))
}

// Toward is a direction of a connection.
type Toward uint8

// The directions.
const (
	Server Toward = iota // from who dialled to who was dialled: requests
	Client               // and back: replies
)

// String returns "server" or "client".
func (d Toward) String() string {
	if d == Client {
		return "client"
	}
	return "server"
}

// Fate is what happens to one connection.
type Fate struct {
	From, To string        // who dials, and who is dialled
	N        int           // how many connections from From to To there were before it
	Fault    Fault         // what goes wrong
	Toward   Toward        // in which direction
	At       int           // behind how many bytes, or messages if TLS is ended; not negative
	Size     int           // see the faults that use it; not negative
	Wait     time.Duration // for Delay
}

// String returns the line of a schedule that Parse reads.
func (f Fate) String() string {
	return fmt.Sprintf("fate %s %s %d %v %v %d %d %v", f.From, f.To, f.N, f.Fault, f.Toward, f.At, f.Size, f.Wait)
}
