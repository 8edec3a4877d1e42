package memberfiles

// Parse reads the text of one file.
func Parse(text []byte, file string) (Member, error) { return parse(text, file) }

// Format returns the text of the member's file.
func (m Member) Format() ([]byte, error) { return m.format() }
