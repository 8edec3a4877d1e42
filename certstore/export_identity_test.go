package certstore

// ChangeKeyProtectionUntil is ChangeKeyProtection that calls done after each step and stops at its first error, as a crash does.
func ChangeKeyProtectionUntil(dir string, from, to KeyProtection, done func(step string) error) error {
	root, err := openDirectory(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return resealAll(root, from, to, done)
}

// ParseProtectedIdentity is ParseIdentity with a protection.
func ParseProtectedIdentity(certificates, privateKey []byte, protection KeyProtection) (*Identity, error) {
	return parseIdentity(certificates, privateKey, protection)
}
