package certstore

import "errors"

// Errors of identities and of their files. They arrive wrapped: test with errors.Is.
var (
	// ErrNoIdentity is returned by LoadIdentity for a directory that holds no identity.
	ErrNoIdentity = errors.New("certstore: no identity")

	// ErrIdentityIncomplete is returned when only one of certificate and key is there. Nothing is created or replaced.
	ErrIdentityIncomplete = errors.New("certstore: identity is incomplete")

	// ErrIdentity is wrapped when an identity is there and cannot be used: damaged or foreign files, a key that does not
	// belong to the certificate, a chain out of order, another name than the one asked for.
	ErrIdentity = errors.New("certstore: unusable identity")

	// ErrStaged is returned by StageIdentity when another identity waits for its rotation already (the text says where), and
	// by RotateTo during a rotation to another key.
	ErrStaged = errors.New("certstore: another identity is staged")

	// ErrForeignIdentity is returned by Rotate when the library cannot make the next identity itself: the present one was
	// issued by an authority, or is not kept on disk (the text says what to call); and by Identity.Destroy in the last case.
	ErrForeignIdentity = errors.New("certstore: identity was not made here")

	// ErrNoRotation is returned by SwitchIdentity when nothing is announced, and by RetireIdentity when nothing was
	// switched.
	ErrNoRotation = errors.New("certstore: no such rotation is under way")

	// ErrIdentityConfig is wrapped by whatever refuses an IdentityConfig.
	ErrIdentityConfig = errors.New("certstore: invalid identity configuration")

	// ErrSealed is wrapped, beside ErrIdentity, when a private key is encrypted and no KeyProtection was given.
	ErrSealed = errors.New("key is sealed")

	// ErrNotSealed is wrapped, beside ErrIdentity, when a KeyProtection was given and the private key is not encrypted.
	ErrNotSealed = errors.New("key is not sealed")

	// ErrWrongKey is wrapped by Open of a KeyProtection for what another key has sealed.
	ErrWrongKey = errors.New("sealed with another passphrase or key")

	// ErrPermissions is wrapped when others than the owner may use a file or directory that holds a secret, or may write one
	// that says who is trusted. The text says which command corrects it.
	ErrPermissions = errors.New("certstore: permissions too wide")
)
