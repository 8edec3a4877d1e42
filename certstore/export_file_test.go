package certstore

import (
	"crypto/sha256"
	"time"
)

// CheckpointStep is how many bytes of lines there are between two checkpoints.
const CheckpointStep = checkpointStep

// SignCheckpoint returns a checkpoint by id that covers data, whatever is in it.
func SignCheckpoint(id *Identity, data []byte) ([]byte, error) {
	return (&checkpoint{size: int64(len(data)), hash: sha256.Sum256(data)}).signed(id)
}

// CheckpointMessage is what SignCheckpoint signs.
func CheckpointMessage(data []byte) []byte {
	return (&checkpoint{size: int64(len(data)), hash: sha256.Sum256(data)}).message()
}

// ParseCheckedFile is ParseTrustFile for a file whose first checked bytes were verified before.
func ParseCheckedFile(data []byte, checked int) (Batch, int64, error) {
	return parseTrustFile(data, int64(checked))
}

// SetClock makes a store's statements bear another time.
func SetClock(s *Store, now func() time.Time) { s.now = now }
