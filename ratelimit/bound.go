package ratelimit

import (
	"fmt"
	"time"
)

// bound returns n, or def for zero, and a *ConfigError if it is out of range.
func bound(field string, n, def, limit int) (int, error) {
	if n == 0 {
		return def, nil
	}
	if n < 1 || n > limit {
		return 0, &ConfigError{field, fmt.Sprintf("must be 1 to %d, or 0 for %d", limit, def)}
	}
	return n, nil
}

// boundTime returns d, or def for zero, and a *ConfigError if it is out of range.
func boundTime(field string, d, def, limit time.Duration) (time.Duration, error) {
	if d == 0 {
		return def, nil
	}
	if d < 0 || d > limit {
		return 0, &ConfigError{field, fmt.Sprintf("must be positive and at most %v, or 0 for %v", limit, def)}
	}
	return d, nil
}
