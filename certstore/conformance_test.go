package certstore_test

import (
	"testing"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/certstoretest"
)

func TestMemoryBackendConforms(t *testing.T) {
	certstoretest.Run(t, certstoretest.Config{New: func(testing.TB) certstoretest.Storage {
		backend := certstore.NewMemoryBackend()
		return certstoretest.Storage{Open: func() (certstore.Backend, error) { return backend, nil }}
	}})
}

func TestFileBackendConforms(t *testing.T) {
	certstoretest.Run(t, certstoretest.Config{New: func(t testing.TB) certstoretest.Storage {
		dir := t.TempDir()
		return certstoretest.Storage{Open: func() (certstore.Backend, error) { return certstore.OpenFileBackend(dir) }}
	}})
}
