package hmacauth

import "github.com/microtrust/microtrust/internal/redact"

// redacted is embedded by everything that holds a secret. The alias keeps the embedded field unexported.
type redacted = redact.Secret
