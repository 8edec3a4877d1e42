package discovery_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/microtrust/microtrust/discovery"
)

// loopback returns the name of the interface over which a machine talks to itself.
func loopback() string {
	interfaces, _ := net.Interfaces()
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	return ""
}

// Both sides on one machine. What is found is a suggestion: trust.Join with the address, the passphrase and the compared
// fingerprint decides.
func ExampleNewSearch() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	announcer, err := discovery.NewAnnouncer(discovery.Config{
		Name: "example01", Addresses: []string{"10.0.0.1:9443"}, Interfaces: []string{loopback()},
		Open: func() bool { return true }, // such as: the current session has no Cause yet
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	go announcer.Run(ctx)

	search, err := discovery.NewSearch(discovery.SearchConfig{Interface: loopback(), Every: 100 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	for found, err := range search.Results(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if strings.HasPrefix(found.Name, "example") { // others may be there
			fmt.Println(found.Name, found.Addresses, found.Protocol)
			break
		}
	}
	// Output: example01 [10.0.0.1:9443] microtrust/2
}

func ExampleNewAnnouncer() {
	_, err := discovery.NewAnnouncer(discovery.Config{
		Name: "micro01", Addresses: []string{"10.0.0.1:9443"}, Interfaces: []string{"eth0"},
	})
	fmt.Println(err)
	// Output: discovery: invalid configuration: Open: is required
}
