// Package discovery finds machines on the local network that let others join: an [Announcer] answers while something is open,
// and a [Search] lists everybody who answers on one interface, over IPv4 and IPv6 multicast.
//
// On the machine that lets others join:
//
//	a, err := discovery.NewAnnouncer(discovery.Config{
//		Name: "micro01", Addresses: []string{"10.0.0.1:9443"}, Interfaces: []string{"eth0"}, Open: sessionIsOpen,
//	})
//	go a.Run(ctx)
//
// On the machine that joins:
//
//	s, err := discovery.NewSearch(discovery.SearchConfig{Interface: "eth0"})
//	for found, err := range s.Results(ctx) {
//		fmt.Println(found.Name, found.Addresses, err)
//	}
//
// The specification is docs/discovery.md.
//
// # Threat model
//
// Nothing that discovery says is trusted, and nothing of it may decide anything. Everybody on the link can answer, under any
// name and with any address, can answer before the machine that is meant, and can keep its answers from arriving. A result
// is a suggestion where to try: an address to fill into a form. Who is there is decided by the handshake that follows, which
// proves the passphrase and has the certificate compared (docs/protocol.md). Addresses that were typed in need no discovery at
// all, and are as safe.
//
// Everybody on the link also learns the name and the addresses of an announcer while something is open there, and that it is.
// Neither questions nor answers leave the link. An answer is never larger than its question, goes to the asker alone and
// only once, so an announcer amplifies nobody's traffic; the older format ([Config.Legacy]) cannot promise that. Names and
// addresses are checked before they are handed out, so they hold nothing that could deceive a terminal. Work, memory and the
// number of results are bounded whatever arrives; who floods can still keep others from being heard.
//
// # Concurrency
//
// All types are safe for concurrent use. [Announcer.Run] and [Search.Results] open their sockets in the calling goroutine,
// and when they return, no goroutine and no socket of theirs is left.
//
// # Time
//
// The clock decides when to ask again and how many datagrams of one source are looked at, and nothing else.
package discovery
