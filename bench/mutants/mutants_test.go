package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"hash/fnv"
	"strings"
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

// TestSomePlantedBugs: the tests notice one bug of each file of testdata/planted. Which one depends on the code that it
// changes, so that in time it is each one's turn. make mutants plants them all.
func TestSomePlantedBugs(t *testing.T) {
	if testing.Short() {
		t.Skip("the result is the same in every build")
	}
	root, all := planted(t)
	some := map[string]*bug{}
	for i := range all {
		file, _, _ := strings.Cut(all[i].at, ":")
		if some[file] == nil || rankOf(t, root, &all[i]) < rankOf(t, root, some[file]) {
			some[file] = &all[i]
		}
	}
	for file, k := range some {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			said, err := plant(t.Context(), &builder{root: root, tags: plantedTags}, k)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s: %s", k.name, said)
		})
	}
}

func rankOf(t *testing.T, root string, k *bug) uint64 {
	t.Helper()
	changed, err := k.apply(root)
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64a()
	fmt.Fprint(h, changed)
	return stirred(h.Sum64())
}

// TestDraw: there are as many mutants as the plan wants, their program compiles, and those that survive for a reason can
// still be made.
func TestDraw(t *testing.T) {
	if testing.Short() {
		t.Skip("the result is the same in every build")
	}
	root, _ := planted(t)
	d, err := newDraw(root, "drawn")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readPlan(root, "own"); err != nil {
		t.Error(err)
	}
	if len(d.mutants) != d.Count {
		t.Errorf("%d mutants can be drawn of %d", len(d.mutants), d.Count)
	}
	for _, b := range d.known {
		if _, err := b.apply(root); err != nil {
			t.Error(err)
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
