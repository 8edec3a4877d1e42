package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/microtrust/microtrust/certstore"
)

// listing is what list -json prints.
type listing struct {
	Cluster certstore.ClusterID `json:"cluster"`
	Digest  certstore.Digest    `json:"digest"`
	Members []listed            `json:"members"`
}

type listed struct {
	Name        string                `json:"name"`
	Fingerprint certstore.Fingerprint `json:"fingerprint"`
	Key         certstore.KeyID       `json:"key"`
	Rights      string                `json:"rights"`
	Expires     time.Time             `json:"expires"`
	AdmittedBy  string                `json:"admitted_by"`
	Addresses   []string              `json:"addresses"`
	Attributes  map[string]string     `json:"attributes,omitempty"`
	ThisMachine bool                  `json:"this_machine,omitempty"`
	OlderKey    bool                  `json:"older_key,omitempty"`  // its machine is listed with the next key too: a rotation is under way
	NameTaken   bool                  `json:"name_taken,omitempty"` // several machines hold the name, so it means none of them
}

func (t *tool) list(context.Context) error {
	v, err := t.look()
	if err != nil {
		return err
	}
	named := v.names()
	l := listing{Cluster: v.Cluster, Digest: v.snapshot.Digest(), Members: []listed{}}
	replaced := map[certstore.KeyID]bool{}
	for m := range v.snapshot.Members() {
		replaced[m.Replaces] = true
	}
	for m := range v.snapshot.Members() {
		_, taken := v.snapshot.ByName(m.Name)
		l.Members = append(l.Members, listed{
			Name: m.Name, Fingerprint: m.Fingerprint, Key: m.Key, Rights: m.Rights.String(), Expires: m.Certificate.NotAfter.UTC(),
			AdmittedBy: named.of(m.AdmittedBy), Addresses: append([]string{}, m.Addresses...), Attributes: m.Attributes,
			ThisMachine: v.mine(m), NameTaken: taken != nil, OlderKey: replaced[m.Key],
		})
	}
	if t.json {
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(l)
	}
	if v.Cluster.IsZero() {
		t.printf("This machine is in no cluster yet.\n")
		return nil
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tFINGERPRINT\tRIGHTS\tEXPIRES\tADMITTED BY\tADDRESSES\tATTRIBUTES")
	for _, m := range l.Members {
		name := m.Name
		if m.ThisMachine {
			name += " (this machine)"
		}
		if m.OlderKey {
			name += " (older key)"
		}
		if m.NameTaken {
			name += " (name taken)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, m.Fingerprint.Short(), m.Rights, m.Expires.Format(time.DateOnly), m.AdmittedBy,
			orDash(addressList(m.Addresses)), orDash(attributeList(m.Attributes)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	t.printf("\n%s", v.summary())
	switch {
	case v.own == nil:
		t.printf("This machine has no certificate: it has left, or its identity is lost.\n")
	case !slices.ContainsFunc(l.Members, func(m listed) bool { return m.ThisMachine }):
		t.printf("This machine is not one of them: it was removed.\n")
	}
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func addressList(addresses []string) string {
	shown := make([]string, len(addresses))
	for i, address := range addresses {
		shown[i] = plain(address)
	}
	return strings.Join(shown, ", ")
}

func attributeList(attributes map[string]string) string {
	var shown []string
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		shown = append(shown, plain(key)+"="+plain(attributes[key]))
	}
	return strings.Join(shown, ", ")
}
