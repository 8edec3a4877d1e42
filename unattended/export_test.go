package unattended

import "time"

// SetPace sets how often machines do again what they repeat, and how long they wait for one that hangs.
func (p *Plan) SetPace(pace, patience time.Duration) { p.pace, p.patience = pace, patience }
