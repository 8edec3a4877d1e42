package certstoretest_test

import (
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/certstoretest"
)

// A backend's own tests call Run. This one keeps a file in a directory; a database would set Shared.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestConformance(t *testing.T)
		certstoretest.Run(t, certstoretest.Config{New: func(t testing.TB) certstoretest.Storage {
			dir := t.TempDir()
			return certstoretest.Storage{Open: func() (certstore.Backend, error) { return certstore.OpenFileBackend(dir) }}
		}})
	}
}
