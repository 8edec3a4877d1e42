package certstore

import "strings"

const (
	pictureWidth  = 17
	pictureHeight = 9
	// pictureSymbols stand for a field visited never, once, twice, …; the last two mark start and end.
	pictureSymbols = " .o+=*BOX@%&#/^SE"
)

// Picture returns the fingerprint as the "drunken bishop" drawing that ssh-keygen shows: 11 lines of 19 characters with
// line feeds between them. A walker starts in the middle of a board of 17 by 9 fields and goes one field diagonally for
// every two bits, lowest bits of each byte first, sliding along the walls; the drawing shows how often each field was
// visited. It helps the eye and proves less than the other forms: use it beside them.
func (f Fingerprint) Picture() string {
	board := walk(f)
	var b strings.Builder
	border(&b, "microtrust")
	for _, row := range board {
		b.WriteString("|")
		for _, visits := range row {
			b.WriteByte(pictureSymbols[visits])
		}
		b.WriteString("|\n")
	}
	border(&b, "SHA256")
	return strings.TrimSuffix(b.String(), "\n")
}

// walk returns an index into pictureSymbols for every field of the board.
func walk(f Fingerprint) [pictureHeight][pictureWidth]int {
	const start, end = len(pictureSymbols) - 2, len(pictureSymbols) - 1
	var board [pictureHeight][pictureWidth]int
	x, y := pictureWidth/2, pictureHeight/2
	for _, octet := range f {
		for range 4 {
			x = min(max(x+2*int(octet&1)-1, 0), pictureWidth-1)
			y = min(max(y+int(octet&2)-1, 0), pictureHeight-1)
			board[y][x] = min(board[y][x]+1, start-1)
			octet >>= 2
		}
	}
	board[pictureHeight/2][pictureWidth/2] = start
	board[y][x] = end
	return board
}

// border writes one horizontal edge with a title in its middle.
func border(b *strings.Builder, title string) {
	title = "[" + title + "]"
	left := (pictureWidth - len(title)) / 2
	b.WriteString("+" + strings.Repeat("-", left) + title + strings.Repeat("-", pictureWidth-left-len(title)) + "+\n")
}
