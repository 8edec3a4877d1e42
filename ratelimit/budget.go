package ratelimit

import "math"

// Budget is how many wrong proofs of one secret are allowed in all.
type Budget int64

const (
	// SuppliedBudget is the budget of a secret that a person or a file supplied, whatever it looks like.
	SuppliedBudget Budget = 10
	// MaxBudget bounds what BudgetForBits returns.
	MaxBudget Budget = 1 << 40
	// chance is the logarithm of the chance of a right guess that a whole budget may have.
	chance = 20
)

// BudgetForBits returns the budget of a secret with the given entropy in bits: as many guesses as keep the total chance
// of a right one at 2⁻²⁰ or below, and at most MaxBudget. A secret that is credited no entropy, with bits zero, negative
// or not a number, gets SuppliedBudget. A secret below 20 bits gets 0, which allows no attempt at all.
func BudgetForBits(bits float64) Budget {
	if !(bits > 0) {
		return SuppliedBudget
	}
	guesses := math.Floor(math.Exp2(bits - chance))
	if guesses >= float64(MaxBudget) {
		return MaxBudget
	}
	return Budget(guesses)
}
