package redacttest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
)

// Spellings returns the forms in which a secret of at least three bytes may stand in a text: as it is, in hexadecimal and decimal
// digits, as the list of its bytes, and, where it is long enough not to be met by chance, in base64.
func Spellings(secret []byte) []string {
	digits, first := hex.EncodeToString(secret), secret[:min(len(secret), 8)]
	list, code := strings.Trim(fmt.Sprint(first), "[]"), fmt.Sprintf("%#v", first)
	forms := []string{
		string(secret), digits, strings.ToUpper(digits), new(big.Int).SetBytes(secret).String(),
		list, strings.ReplaceAll(list, " ", ", "), strings.ReplaceAll(list, " ", ","), code[len("[]byte{") : len(code)-len("}")],
	}
	if len(secret) >= 9 {
		forms = append(forms, base64.StdEncoding.EncodeToString(secret)[:12], base64.RawURLEncoding.EncodeToString(secret)[:12])
	}
	return forms
}
