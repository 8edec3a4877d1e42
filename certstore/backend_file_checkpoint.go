package certstore

import (
	"github.com/microtrust/microtrust/internal/disk"
	"github.com/microtrust/microtrust/internal/wire"
)

const (
	checkpointFile = "trust.checked"
	checkpointTemp = "trust.checked.tmp"

	// checkpointLabel opens what is signed. It is longer than 64 bytes for the reason that statementLabel is. Its number
	// changes whenever verifying a file becomes stricter than it was when a checkpoint was signed.
	checkpointLabel = "microtrust/2 checkpoint of a trust store, signed with the identity key of the machine that keeps it, format 1"

	// checkpointStep is how many bytes of lines make a new checkpoint worth its signature: some fifty statements.
	checkpointStep = 64 << 10

	maxCheckpoint = 4 << 10 // bytes of the file
)

// checkpoint says that the first size bytes of the trust store's file, with this hash, were verified line by line and
// statement by statement by the machine whose key signed it. It saves time and never decides anything.
// See docs/trust-store.md, "Checkpoint".
type checkpoint struct {
	size int64
	hash Digest
	key  KeyID // who signed it
}

// checkpointLine is the file, on one line.
type checkpointLine struct {
	Format    int    `json:"format"`
	Bytes     int64  `json:"bytes"`
	Hash      Digest `json:"hash"`
	Signature []byte `json:"signature"`
}

// message returns what is signed.
func (c *checkpoint) message() []byte {
	return wire.NewFields(checkpointLabel).Uint64(uint64(c.size)).Bytes(c.hash[:]).Encoding()
}

// signed returns the content of the file, signed by id.
func (c *checkpoint) signed(id *Identity) ([]byte, error) {
	signature, err := id.sign(c.message())
	if err != nil {
		return nil, err
	}
	text, err := wire.EncodeJSON(checkpointLine{Format: fileFormat, Bytes: c.size, Hash: c.hash, Signature: signature})
	return append(text, '\n'), err
}

// parseCheckpoint returns what the file says, if id signed it.
func parseCheckpoint(text []byte, id *Identity) (checkpoint, error) {
	var line checkpointLine
	if err := wire.DecodeJSON(text, &line); err != nil {
		return checkpoint{}, err
	}
	if line.Format != fileFormat || line.Bytes <= 0 {
		return checkpoint{}, errNewFormat
	}
	c := checkpoint{size: line.Bytes, hash: line.Hash, key: id.KeyID()}
	return c, verifySignature(id.publicKeyDER(), c.message(), line.Signature)
}

// readCheckpoint returns the checkpoint that holds for data, the whole lines of the file, and leaves the hash of what it
// covers in b.sum. Whatever is wrong with it makes it the zero checkpoint, so that everything is verified.
func (b *fileBackend) readCheckpoint(data []byte) checkpoint {
	if b.identity == nil {
		return checkpoint{}
	}
	text, err := disk.Read(b.dir, checkpointFile, maxCheckpoint)
	if err != nil {
		return checkpoint{}
	}
	c, err := parseCheckpoint(text, b.identity())
	if err != nil || c.size > int64(len(data)) || data[c.size-1] != '\n' {
		return checkpoint{}
	}
	b.sum.Write(data[:c.size])
	if Digest(b.sum.Sum(nil)) != c.hash {
		b.sum.Reset()
		return checkpoint{}
	}
	return c
}

// writeCheckpoint covers all lines, once enough have been added or another key signs for this machine. A checkpoint that
// cannot be written costs time at the next opening and nothing else, so failure is no error.
func (b *fileBackend) writeCheckpoint() {
	if b.identity == nil || b.size < b.step {
		return
	}
	id := b.identity()
	if b.checked.key == id.KeyID() && b.size-b.checked.size < b.step {
		return
	}
	c := checkpoint{size: b.size, hash: Digest(b.sum.Sum(nil)), key: id.KeyID()}
	if b.saveCheckpoint(id, &c) == nil {
		b.checked = c
	}
}

func (b *fileBackend) saveCheckpoint(id *Identity, c *checkpoint) error {
	text, err := c.signed(id)
	if err != nil {
		return err
	}
	return disk.Replace(b.dir, checkpointFile, checkpointTemp, text)
}
