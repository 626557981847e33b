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

// TestDraw: there are as many mutants as the plan wants, their program compiles, and what survives for a reason can still
// be made.
func TestDraw(t *testing.T) {
	root, _ := planted(t)
	d, err := newDraw(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.mutants) != d.Count {
		t.Errorf("%d mutants can be drawn of %d", len(d.mutants), d.Count)
	}
	for i := range d.mutants {
		t.Log(d.mutants[i].name())
	}
	for _, b := range d.known {
		if _, err := b.apply(root); err != nil {
			t.Error(err)
		}
	}
}
