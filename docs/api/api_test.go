// Package api holds what each public package exports, a line each, so that a change to it is seen.
package api

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the packages export into the files here")

// public are the packages that others import.
var public = []string{"codec", "deflate", "engine", "engine/dom", "engine/enginetest", "engine/reconnect", "mask", "pool"}

const root = "../.."

// TestAPI: what a public package exports is what its file here says. Who changes it on purpose runs the test with -update, and
// commits the file with the change; the changelog names it.
func TestAPI(t *testing.T) {
	for _, name := range public {
		have, err := readPackage(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		file := strings.ReplaceAll(name, "/", "-") + ".txt"
		if *update {
			if err := os.WriteFile(file, []byte(strings.Join(have, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if gone, come := without(want, have), without(have, want); len(gone)+len(come) > 0 {
			t.Errorf("package %s exports something else than docs/api/%s says:%s%s\nif that is meant, run: go test ./docs/api -update, and name it in docs/CHANGELOG.md",
				name, file, listed("- ", gone), listed("+ ", come))
		}
	}
}

// without are the lines of a that are not in b.
func without(a, b []string) (left []string) {
	for _, l := range a {
		if !slices.Contains(b, l) {
			left = append(left, l)
		}
	}
	return left
}

func listed(mark string, lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\n" + mark + l)
	}
	return b.String()
}

// TestEveryPublicPackageIsHere: a package that others can import is one of those above.
func TestEveryPublicPackageIsHere(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || path == root {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch base := d.Name(); {
		case base == "internal", base == "testdata", strings.HasPrefix(base, "."), strings.HasPrefix(base, "_"):
			return fs.SkipDir
		case name == "bench", name == "cmd": // what measures, and programs
			return fs.SkipDir
		}
		lines, err := readPackage(path)
		if err == nil && len(lines) > 0 && !slices.Contains(public, name) {
			t.Errorf("package %s exports something, and is not in the list", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReader: the reader sees what there is to see, in a small package with twins for two systems.
func TestReader(t *testing.T) {
	have, err := readPackage("testdata/small")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/small.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(have, "\n") + "\n"; got != string(text) {
		t.Errorf("got\n%swant\n%s", got, text)
	}
}
