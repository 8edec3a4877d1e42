package microcloud

// Argon2id is what a Deriver calls to derive.
type Argon2id = func(passphrase, salt []byte, time, memory uint32, threads uint8, size uint32) []byte

// Around makes d derive through what wrap makes of the real Argon2id. It is called before d is used.
func (d *Deriver) Around(wrap func(Argon2id) Argon2id) { d.argon2id = wrap(d.argon2id) }
