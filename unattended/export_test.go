package unattended

import "time"

// SetPace sets how often machines do again what they repeat.
func (p *Plan) SetPace(pace time.Duration) { p.pace = pace }
