package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// withoutHistory hides the repository's own folder in a tree.
type withoutHistory struct{ fs.FS }

// ReadDir lists a directory.
func (t withoutHistory) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ".git" }), err
}

// copyTree copies the repository at root into a new folder, which is the caller's to remove.
func copyTree(root string) (folder string, err error) {
	if folder, err = os.MkdirTemp("", "mutants"); err != nil {
		return "", err
	}
	return folder, os.CopyFS(folder, withoutHistory{os.DirFS(root)})
}

// replace gives the files of the tree at root these texts, by path, and returns those that they had.
func replace(root string, texts map[string]string) (before map[string]string, err error) {
	before = map[string]string{}
	for name, text := range texts {
		file := filepath.Join(root, filepath.FromSlash(name))
		raw, err := os.ReadFile(file)
		if err != nil {
			return before, err
		}
		before[name] = string(raw)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return before, err
		}
	}
	return before, nil
}
