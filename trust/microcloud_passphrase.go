package trust

import (
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
	"github.com/microtrust/microtrust/ratelimit"
	"github.com/microtrust/microtrust/session"
)

const (
	// microcloudBits is the least strength of a passphrase for MicroCloud-1.0, which can be guessed offline.
	microcloudBits = 64
	// microcloudWords is how many words of the large list have it.
	microcloudWords = 5
)

// microcloudSecret is a passphrase and how many wrong proofs of it there may be in all.
type microcloudSecret struct {
	passphrase microcloud.Passphrase
	budget     ratelimit.Budget
}

// opens reports whether a session takes the passphrase for its own protocol, in which nobody can guess it offline.
func (m microcloudSecret) opens(open *session.Session) bool {
	p, err := hmacauth.ParsePassphrase(m.passphrase.Reveal())
	return err == nil && p.Reveal() == open.Passphrase().Reveal()
}

// name returns under what wrong proofs are counted.
func (m microcloudSecret) name(attempts *ratelimit.Attempts) [32]byte {
	return attempts.Name(m.passphrase.Tag)
}

// usedUp reports whether there were as many wrong proofs as there may be.
func (m microcloudSecret) usedUp(attempts *ratelimit.Attempts) bool {
	return attempts.Wrong(m.name(attempts)) >= int64(m.budget)
}

// microcloudSecretOf returns the config's passphrase, or a generated one.
func microcloudSecretOf(cfg MicroCloudConfig) (microcloudSecret, error) {
	if !cfg.Passphrase.IsZero() {
		bits := judgePassphrase(cfg.Passphrase.Reveal())
		if bits < microcloudBits && !cfg.InsecureWeakPassphrase {
			return microcloudSecret{}, fmt.Errorf("%w: %.0f bits, of the %d that are asked for", ErrWeakPassphrase, bits, microcloudBits)
		}
		return microcloudSecret{cfg.Passphrase, ratelimit.SuppliedBudget}, nil
	}
	generated, err := hmacauth.GeneratePassphrase(microcloudWords)
	if err != nil {
		return microcloudSecret{}, fmt.Errorf("trust: %w", err)
	}
	p, err := microcloud.NewPassphrase(generated.Reveal())
	return microcloudSecret{p, ratelimit.BudgetForBits(generated.Bits())}, err
}

// judgePassphrase returns how many bits a given passphrase may have at most, going by its looks: nobody knows how it was
// chosen. Several words count as drawn from the shortest list that is in use, each different one once. Anything else counts two
// bits for each character, as far as it has enough different ones. docs/microcloud.md, "Passphrases".
func judgePassphrase(text string) float64 {
	const shortList = 1296
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(words) > 1 {
		different := map[string]bool{}
		for _, word := range words {
			different[strings.ToLower(word)] = true
		}
		return float64(len(different)) * math.Log2(shortList)
	}
	characters, different := 0, map[rune]bool{}
	for _, r := range text {
		characters++
		different[r] = true
	}
	return 2 * float64(min(characters, 4*len(different)))
}
