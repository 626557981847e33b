package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// builder makes test binaries of changed sources. The sources stay as they are: the compiler reads the
// changed files from elsewhere.
type builder struct {
	root string   // of the repository
	env  []string // of the go command, beside our own
	tags string
}

// build compiles the tests of a folder's package into dir with these files replaced, or, where they are nil, left out. If
// the compiler refuses, said is what it says.
func (b *builder) build(ctx context.Context, dir, folder string, changed map[string][]byte) (binary, said string, err error) {
	list, err := b.overlay(dir, changed)
	if err != nil {
		return "", "", err
	}
	binary = filepath.Join(dir, flat(folder)+".test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", list, "-tags", b.tags, "-o", binary, "./"+folder)
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), b.env...)
	out, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return "", "", ctx.Err()
	case err != nil:
		return "", strings.TrimSpace(string(out)), nil
	}
	if _, err := os.Stat(binary); err != nil {
		return "", string(out), nil // there are no tests
	}
	return binary, "", nil
}

// overlay writes what the go command wants to know of replaced files.
func (b *builder) overlay(dir string, changed map[string][]byte) (list string, err error) {
	replace := map[string]string{}
	for file, text := range changed {
		if text == nil {
			replace[filepath.Join(b.root, file)] = ""
			continue
		}
		at := filepath.Join(dir, flat(file))
		if err := os.WriteFile(at, text, 0o644); err != nil {
			return "", err
		}
		replace[filepath.Join(b.root, file)] = at
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, text, 0o644)
}

func flat(path string) string { return strings.ReplaceAll(path, "/", "_") }

const module = "github.com/gannet-ws/gannet"

// findRoot is where the root module's sources are.
func findRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("mutants: run it inside the repository: go list -m: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
