package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/certstore/memberfiles"
)

func (t *tool) export(context.Context) error {
	v, err := t.look()
	if err != nil {
		return err
	}
	if v.Cluster.IsZero() {
		return certstore.ErrNoCluster
	}
	path := t.args[0]
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = certstore.WriteStatements(file, v.Batch)
	if err == nil {
		err = file.Sync() // before somebody pulls the stick
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	t.printf("All statements are in %s.\n%s", path, v.summary())
	return nil
}

func (t *tool) memberFiles(context.Context) error {
	v, err := t.look()
	if err != nil {
		return err
	}
	dir := t.args[0]
	if err := memberfiles.Export(dir, v.snapshot); err != nil {
		return err
	}
	members, err := memberfiles.Read(dir)
	if err != nil {
		return err
	}
	t.printf("%s names %s.\n", dir, count(len(members), "machine"))
	if left := (*memberfiles.DifferenceError)(nil); errors.As(memberfiles.Compare(v.snapshot, members), &left) {
		t.printf("Left out, since nobody knows their addresses: %s.\n", strings.Join(left.Unknown, ", "))
	}
	return nil
}

func (t *tool) importFile(ctx context.Context) error {
	path := t.args[0]
	file, err := readFile(path)
	if err != nil {
		return err
	}
	if file.Unfinished > 0 || len(file.Statements) == 0 {
		return fmt.Errorf("%w: %s is not a whole copy; nothing was taken from it", errWrong, path)
	}
	store, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	switch cluster, in := store.Cluster(); {
	case !in:
		return fmt.Errorf("%w: only a join can say which one is meant", certstore.ErrNoCluster)
	case cluster != file.Cluster:
		return fmt.Errorf("%w: %s is about cluster %v, and this machine is in %v", errForeign, path, file.Cluster, cluster)
	}
	before := store.Snapshot()
	added, err := store.Merge(ctx, file.Statements)
	if err != nil && added == 0 {
		return err
	}
	after := store.Snapshot()
	t.printf("New in %s: %d of %s.\n", path, added, count(len(file.Statements), "statement"))
	t.showDifference("Members now: ", before, after)
	t.showDifference("No longer members: ", after, before)
	t.printf("%s", view{StatementFile: certstore.StatementFile{Batch: certstore.Batch{Cluster: after.Cluster()}}, snapshot: after}.summary())
	return err
}

// showDifference names the members that only the second snapshot has.
func (t *tool) showDifference(heading string, without, with *certstore.Snapshot) {
	var found []string
	for m := range with.Members() {
		if _, ok := without.ByKey(m.Key); !ok {
			found = append(found, m.Name)
		}
	}
	if len(found) > 0 {
		t.printf("%s%s.\n", heading, strings.Join(found, ", "))
	}
}
