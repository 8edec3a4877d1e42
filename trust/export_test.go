package trust

// OutcomeError is what a joiner makes of an outcome in a verified reply, where the states in answers are what it asked for.
func OutcomeError(state, code, reason string, answers ...string) error {
	return outcome{State: state, Code: code, Reason: reason}.err(answers...)
}
