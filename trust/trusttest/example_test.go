package trusttest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/trust"
	"github.com/microtrust/microtrust/trust/trusttest"
)

// attach is the code of a daemon under test.
func attach(store *certstore.Store, mux *http.ServeMux) (*http.Server, *trust.Service, error) {
	service, err := trust.NewService(trust.Config{Store: store})
	if err != nil {
		return nil, nil, err
	}
	mux.Handle(trust.MemberPath, service.Handler())
	server := &http.Server{Handler: store.Require(mux)}
	return server, service, service.Attach(server)
}

func TestDaemonOnAHostileNetwork(t *testing.T) {
	serve := func(m *trusttest.Machine) (*trust.Service, func(), error) {
		server, service, err := attach(m.Store, http.NewServeMux()) // the daemon's own code
		if err != nil {
			return nil, nil, err
		}
		go server.ServeTLS(m.Store.Guard(m.Listener), "", "")
		return service, func() { server.Close() }, nil
	}
	trusttest.Run(t, trusttest.Config{Serve: serve, Schedules: 5})
}

// A finding is kept as the text that a failed run printed.
func ExampleParse() {
	s, err := trusttest.Parse(`
		unpinned
		fate m2 m1 0 cut server 2100 0 0s
		disk m1 1 crash-after
	`)
	if err != nil {
		panic(err)
	}
	fmt.Print(s)
	// Output:
	// unpinned
	// fate m2 m1 0 cut server 2100 0 0s
	// disk m1 1 crash-after
}
