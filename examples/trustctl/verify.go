package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/microtrust/microtrust/certstore"
)

func (t *tool) verify(context.Context) error {
	path, read := filepath.Join(t.dir, "trust.jsonl"), func() (certstore.StatementFile, error) { return certstore.ReadStore(t.dir) }
	given := len(t.args) == 1
	if given {
		path, read = t.args[0], func() (certstore.StatementFile, error) { return readFile(t.args[0]) }
	}
	file, err := read()
	v := view{StatementFile: file, snapshot: certstore.Evaluate(file.Cluster, file.Statements)}
	var corrupt *certstore.CorruptError
	if errors.As(err, &corrupt) {
		t.printf("%s is damaged in line %d. What stands before it is sound: %s.\n%s", path, corrupt.Line, size(file), v.summary())
		t.printf("That is not who is trusted: what is missing may be a removal.\n")
		return err
	}
	if err != nil {
		return err
	}
	if err := v.complete(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if file.Unfinished > 0 {
		t.printf("%s ends with %d bytes of a line that is not finished, which count for nothing.\n", path, file.Unfinished)
		if given {
			return fmt.Errorf("%w: %s is not a whole copy", errWrong, path)
		}
	}
	t.printf("%s is sound: %s.\n", path, size(file))
	if !v.Cluster.IsZero() {
		t.printf("%s", v.summary())
	}
	return nil
}

// complete returns an error if there are statements without the genesis that everything hangs on.
func (v view) complete() error {
	for _, s := range v.Statements {
		if _, ok := s.Genesis(); ok {
			return nil
		}
	}
	if len(v.Statements) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the genesis of cluster %v is missing, so nobody is trusted", errWrong, v.Cluster)
}

func size(f certstore.StatementFile) string {
	return count(f.Lines, "line") + ", " + count(len(f.Statements), "statement")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// readFile reads statements from a file of any name.
func readFile(path string) (certstore.StatementFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return certstore.StatementFile{}, err
	}
	if !info.Mode().IsRegular() {
		return certstore.StatementFile{}, fmt.Errorf("%w: %s is not a file", certstore.ErrForeignFile, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return certstore.StatementFile{}, err
	}
	defer file.Close()
	content, err := certstore.ReadStatements(file)
	if corrupt := (*certstore.CorruptError)(nil); errors.As(err, &corrupt) {
		corrupt.File = path
	} else if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return content, err
}
