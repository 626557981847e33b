package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commandsIn are the lines of a text that begin with gannet load, without what leads elsewhere.
func commandsIn(text string) (all []string) {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " > ")
		if strings.HasPrefix(line, "gannet load ") && !strings.Contains(line, "[options]") && !strings.HasPrefix(line, "gannet load agent") {
			all = append(all, line)
		}
	}
	return all
}

// TestLoadDocs: every command that the help and the guide show is one that gannet load takes.
func TestLoadDocs(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/load.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "checkout.yaml"), []byte("url: ws://localhost:8080/\nrate: 10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []struct {
		what, text string
		least      int
	}{{"docs/load.md", string(guide), 20}, {"the help", loadUsage, 9}, {"the agent's help", loadAgentDescription, 1}} {
		commands := commandsIn(text.text)
		if len(commands) < text.least {
			t.Errorf("%s has %d commands, fewer than %d: are they found?", text.what, len(commands), text.least)
		}
		for _, line := range commands {
			cmd := exec.Command("sh", "-c", `gannet() { "$PROGRAM" "$@" --print-scenario; }; `+line)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), asMain+"=1", "PROGRAM="+os.Args[0])
			if out, err := cmd.CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "url: ") {
				t.Errorf("%s: %s\n%v %s", text.what, line, err, out)
			}
		}
	}
}
