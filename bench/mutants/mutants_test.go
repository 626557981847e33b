package main

import (
	"go/parser"
	"go/token"
	"testing"
)

// TestPlantedBugsApply: each stands in the sources in one place, and what it makes of them is Go. Whoever moves the code
// moves the bug with it.
func TestPlantedBugsApply(t *testing.T) {
	root, all := planted(t)
	for _, b := range all {
		changed, err := b.apply(root)
		if err != nil {
			t.Error(err)
			continue
		}
		for file, text := range changed {
			if _, err := parser.ParseFile(token.NewFileSet(), file, text, 0); err != nil {
				t.Errorf("%s: %q: %v", b.at, b.name, err)
			}
		}
	}
}

func planted(t *testing.T) (root string, all []bug) {
	t.Helper()
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	all, err = readPlanted(root)
	if err != nil {
		t.Fatal(err)
	}
	return root, all
}
