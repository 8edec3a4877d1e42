package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errDoesNotApply is returned for a mutant whose old text is not in the file exactly once.
var errDoesNotApply = errors.New("does not apply")

// apply returns the files that the mutant changes, by path, as they are with the changes.
func apply(tree fs.FS, m Mutant) (map[string]string, error) {
	changed := map[string]string{}
	for _, edit := range m.Edits {
		text, ok := changed[edit.File]
		if !ok {
			raw, err := fs.ReadFile(tree, edit.File)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errDoesNotApply, err)
			}
			text = string(raw)
		}
		if n := strings.Count(text, edit.Old); n != 1 || edit.Old == edit.New {
			return nil, fmt.Errorf("%w: %d times in %s: %q", errDoesNotApply, n, edit.File, edit.Old)
		}
		changed[edit.File] = strings.Replace(text, edit.Old, edit.New, 1)
	}
	return changed, nil
}

// writeOverlay writes the changed files and what the go command is told about them into a folder, and returns the path for
// its flag -overlay. root is the absolute path of the repository.
func writeOverlay(folder, root string, changed map[string]string) (string, error) {
	replace := map[string]string{}
	for name, text := range changed {
		file := filepath.Join(folder, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(root, filepath.FromSlash(name))] = file
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, raw, 0o600)
}
