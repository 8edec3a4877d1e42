package terminal

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/microtrust/microtrust/hmacauth"
	"github.com/microtrust/microtrust/hmacauth/microcloud"
)

// ReadPassphrase reads a passphrase from a file, which may be a pipe, or from the next line of standard input for "-". Errors
// never contain the passphrase.
func ReadPassphrase(ctx context.Context, path string, in *Input) (hmacauth.Passphrase, error) {
	text, err := readSecret(ctx, path, in)
	if err != nil {
		return hmacauth.Passphrase{}, err
	}
	return hmacauth.ParsePassphrase(text)
}

func readSecret(ctx context.Context, path string, in *Input) (string, error) {
	if path == "-" {
		text, err := in.Line(ctx, time.Time{})
		if err != nil {
			return "", fmt.Errorf("reading standard input: %w", err)
		}
		return text, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxLine))
	return string(text), err
}

// MicroCloudPassphrase reads a passphrase of the format MicroCloud-1.0 as ReadPassphrase does, or asks for it if path is empty. The
// format takes it as it is, so nothing but white space around it is taken away, and no word of it is doubted.
func MicroCloudPassphrase(ctx context.Context, s *Screen, in *Input, path string, hidden bool) (microcloud.Passphrase, error) {
	read := func() (string, error) { return readSecret(ctx, path, in) }
	if path == "" {
		read = func() (string, error) { return ask(ctx, s, in, "Passphrase: ", hidden) }
	}
	text, err := read()
	var p microcloud.Passphrase
	if err == nil {
		p, err = microcloud.NewPassphrase(strings.TrimSpace(text))
	}
	if err != nil && ctx.Err() == nil {
		err = &UsageError{Err: err}
	}
	return p, err
}

// Doubt is a word of a passphrase that is not on the list from which passphrases are generated.
type Doubt struct {
	Number     int    // of the word, from 1
	Word       string // as typed, normalised
	Suggestion string // the word of the list that was probably meant, or empty
}

// Doubts returns the words that are not on the list. A passphrase that people agreed on may well have some.
func Doubts(p hmacauth.Passphrase) (doubts []Doubt) {
	for i, word := range strings.Fields(p.Reveal()) {
		if known, suggestion := hmacauth.CheckWord(word); !known {
			doubts = append(doubts, Doubt{Number: i + 1, Word: word, Suggestion: suggestion})
		}
	}
	return doubts
}

// AskPassphrase asks for a passphrase until one is given that is acceptable, and whose words are on the list or meant as
// typed. If hidden, nothing that is typed is shown, and no word of it either.
func AskPassphrase(ctx context.Context, s *Screen, in *Input, hidden bool) (hmacauth.Passphrase, error) {
	for {
		text, err := ask(ctx, s, in, "Passphrase: ", hidden)
		if err != nil {
			return hmacauth.Passphrase{}, err
		}
		p, err := hmacauth.ParsePassphrase(text)
		if err != nil {
			s.Linef("%v", err)
			continue
		}
		doubts := Doubts(p)
		if len(doubts) == 0 {
			if n := len(strings.Fields(p.Reveal())); n < hmacauth.DefaultWords {
				s.Linef("Only %d words; a generated passphrase has %d or more.", n, hmacauth.DefaultWords)
			} else {
				return p, nil
			}
		}
		corrected := showDoubts(s, p, doubts, hidden)
		question := "Enter to type it again, k to keep it as it is: "
		if corrected != "" {
			question = "Enter to type it again, s to take the suggestions, k to keep it as it is: "
		}
		answer, err := ask(ctx, s, in, question, hidden) // hidden also because the passphrase may be typed here
		switch {
		case err != nil:
			return hmacauth.Passphrase{}, err
		case answer == "k":
			return p, nil
		case answer == "s" && corrected != "":
			return hmacauth.ParsePassphrase(corrected)
		}
	}
}

// showDoubts returns the passphrase with the suggestions put in, or nothing if some word has none or nothing may be shown.
func showDoubts(s *Screen, p hmacauth.Passphrase, doubts []Doubt, hidden bool) string {
	words := strings.Fields(p.Reveal())
	complete := !hidden && len(doubts) > 0
	for _, d := range doubts {
		switch {
		case hidden:
			s.Linef("Word %d is not on the list of words.", d.Number)
		case d.Suggestion == "":
			complete = false
			s.Linef("Word %d, %q, is not on the list of words.", d.Number, d.Word)
		default:
			words[d.Number-1] = d.Suggestion
			s.Linef("Word %d, %q, is not on the list of words. Did you mean %q?", d.Number, d.Word, d.Suggestion)
		}
	}
	if !complete {
		return ""
	}
	return strings.Join(words, " ")
}

func ask(ctx context.Context, s *Screen, in *Input, question string, hidden bool) (string, error) {
	read := in.Line
	if hidden {
		read = in.Hidden
	}
	answer, err := read(ctx, s.Ask(question))
	s.Answered(err == nil && !hidden)
	return answer, err
}

// AskYes asks a question until the answer is yes or no. The error is ErrNoAnswer, or the cause of ctx.
func AskYes(ctx context.Context, s *Screen, in *Input, question string) (bool, error) {
	for {
		answer, err := ask(ctx, s, in, question+" [y/n] ", false)
		if err != nil {
			return false, err
		}
		if yes, ok := Yes(answer); ok {
			return yes, nil
		}
		s.Linef("Please answer y or n.")
	}
}

// Yes understands y, yes, n and no; the second result is false for everything else.
func Yes(answer string) (yes, ok bool) {
	switch strings.ToLower(answer) {
	case "y", "yes":
		return true, true
	case "n", "no":
		return false, true
	}
	return false, false
}
