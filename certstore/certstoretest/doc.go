// Package certstoretest tests whether a certstore.Backend keeps what its documentation promises.
//
//	func TestConformance(t *testing.T) {
//		certstoretest.Run(t, certstoretest.Config{
//			Shared: true,
//			New: func(t testing.TB) certstoretest.Storage {
//				db := openDatabase(t)
//				return certstoretest.Storage{Open: func() (certstore.Backend, error) { return mybackend.New(db) }}
//			},
//		})
//	}
//
// It uses the backend as several members of a cluster would, with statements that are signed for real: one after the other,
// at once, killed and opened again, with damage and faults that the caller knows to cause. It needs nothing but the
// standard library's testing.
//
// # Threat model
//
// What passes keeps everything that it said it kept, and says so when it cannot. Whether "durable" survives a loss of
// power shows only in tests of the storage itself.
//
// # Concurrency
//
// Run may be called in parallel with other tests. New is called for one storage after the other, what it returns from
// several goroutines at once.
//
// # Time
//
// Nothing rests on how fast a storage is, up to Config.Patience.
package certstoretest
