package engine_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestReadmeExample holds the README's example to the one that is compiled here.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := os.ReadFile("testdata/embed/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "```go\n")
	example, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the README has no Go example")
	}
	if strings.Contains(rest[len(example):], "```go") {
		t.Error("the README has Go code that no test compiles and runs (programs_test.go)")
	}
	if example != string(compiled) {
		t.Error("the README's example is not engine/testdata/embed/main.go")
	}
}

// TestReadmeExampleBuilds: testdata is not built with the rest.
func TestReadmeExampleBuilds(t *testing.T) {
	out, err := exec.Command("go", "vet", "./testdata/embed").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
