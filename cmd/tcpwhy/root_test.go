package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A flag that may be repeated keeps every value as it stands, commas too, and shows no default.
func TestRepeated(t *testing.T) {
	var values []string
	cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }}
	cmd.Flags().Var(repeated{&values}, "fact", "what is known, `WHO:NAME=VALUE`; may be repeated")
	cmd.SetArgs([]string{"--fact", "a,b", "--fact=c", "--fact", ""})
	if err := cmd.Execute(); err != nil || !slices.Equal(values, []string{"a,b", "c", ""}) {
		t.Errorf("%q, %v", values, err)
	}
	if u := cmd.Flags().FlagUsages(); strings.Contains(u, "default") || !strings.Contains(u, "--fact WHO:NAME=VALUE   what is known") {
		t.Errorf("usage: %q", u)
	}
}
