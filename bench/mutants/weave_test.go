package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The sample's output changes with each mutant that is awake.
const sample = `package main

type level uint8

func main() {
	var n level
	for i := 0; i < 3; i++ {
		if i > 0 && n <= 1 || i == 2 {
			n += 2
		}
	}
	println(n)
}
`

// TestWeave weaves all changes of a small program together, and runs it with each awake: the result is what the program
// prints when somebody writes the change by hand.
func TestWeave(t *testing.T) {
	root := t.TempDir()
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(root, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", []byte("module sample\n\ngo 1.26\n"))
	write("main.go", []byte(sample))
	t.Setenv("GOWORK", "off")
	s, err := loadSource(root, ".")
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.sites([]string{"./main.go"})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	var numbers []int
	for i := range all {
		kinds[all[i].kind]++
		numbers = append(numbers, i)
	}
	if want := map[string]int{negated: 3, compared: 3, joined: 2, shifted: 12, dropped: 2}; !same(kinds, want) {
		t.Errorf("found %v, want %v", kinds, want)
	}
	good := s.sound(all, numbers)
	woven := compile(t, root, s.weave(all, good))
	for _, n := range good {
		by := compile(t, root, all[n].apply([]byte(sample)))
		if a, b := output(woven, n+1), output(by, 0); a != b {
			t.Errorf("%s: woven in it prints %q, by hand %q", all[n].name(), a, b)
		}
	}
	if got, want := output(woven, 0), output(compile(t, root, map[string][]byte{"main.go": []byte(sample)}), 0); got != want {
		t.Errorf("with none awake it prints %q, not %q", got, want)
	}
}

func same(a, b map[string]int) bool {
	for k := range b {
		if a[k] != b[k] {
			return false
		}
	}
	return len(a) == len(b)
}

func compile(t *testing.T, root string, changed map[string][]byte) (binary string) {
	t.Helper()
	b := &builder{root: root}
	dir := t.TempDir()
	list, err := b.overlay(dir, changed)
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(dir, "sample")
	cmd := exec.Command("go", "build", "-overlay", list, "-o", binary, ".")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// output is what a program prints, and how it ends, with one mutant awake. One that has no end is stopped.
func output(binary string, number int) string {
	cmd := exec.Command("timeout", "1", binary)
	cmd.Env = append(os.Environ(), mutantVariable+"="+strconv.Itoa(number))
	out, err := cmd.CombinedOutput()
	said, _, _ := strings.Cut(string(out), "goroutine")
	return said + " " + strconv.FormatBool(err == nil)
}
