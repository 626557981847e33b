package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReplaceBetween(t *testing.T) {
	page := "before\n" + beginMark + "\nold\n" + endMark + "\nafter\n"
	got, err := replaceBetween([]byte(page), "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, page := range []string{"", beginMark, endMark + beginMark} {
		if _, err := replaceBetween([]byte(page), "new"); err == nil || !strings.Contains(err.Error(), beginMark) {
			t.Errorf("%q: %v", page, err)
		}
	}
}

// TestMissingTool: a tool that is not there is told as such, in the table too.
func TestMissingTool(t *testing.T) {
	none := tool{Name: "none", path: "bin/there-is-no-such-tool"}
	for _, dir := range []string{"", t.TempDir()} {
		if p, err := none.find(dir); !errors.Is(err, errNotInstalled) {
			t.Errorf("%q, %v", p, err)
		}
	}
	there := filepath.Join(t.TempDir(), "bin", "there")
	if err := errors.Join(os.MkdirAll(filepath.Dir(there), 0o755), os.WriteFile(there, []byte("#!/bin/sh\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if p, err := (tool{path: "bin/there"}).find(filepath.Dir(filepath.Dir(there))); err != nil || p != there {
		t.Errorf("%q, %v", p, err)
	}
	table := document([]row{
		{tool: none, missing: errNotInstalled.Error()},
		{tool: tool{Name: "broken"}, got: map[mode]figures{messages: {Failed: "x"}, connections: {Open: 1234, EachKiB: 1.5}}},
	}, true, "How.")
	for _, want := range []string{"| none | not installed here", "| broken | 1,234 | 1.5 KiB | failed | failed |", "\nHow.\n"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	if table = document([]row{{tool: none}}, false, "How."); strings.Contains(table, "How.") || strings.Contains(table, "processors used") {
		t.Errorf("figures of nothing:\n%s", table)
	}
}

// TestVersions: what install.sh installs is what the table names.
func TestVersions(t *testing.T) {
	b, err := os.ReadFile("install.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools("/gannet") {
		version, _, _ := strings.Cut(tool.Version, " ")
		if tool.Name != "gannet load" && !strings.Contains(string(b), version) {
			t.Errorf("install.sh does not install %s %s", tool.Name, version)
		}
		for _, word := range tool.argv("program", "scripts", job{}) {
			if name, ok := strings.CutPrefix(word, "scripts"); ok {
				if _, err := os.Stat("scripts" + name); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// TestSummarize: connecting, the first second and what comes after the last message are left out.
func TestSummarize(t *testing.T) {
	at := func(ms, open, messages int64, cpu time.Duration, rss int64) sample {
		return sample{time.UnixMilli(ms), open, messages, cpu, rss}
	}
	got := summarize([]sample{
		at(0, 0, 0, 0, 100), at(500, 10, 0, 0, 200), at(1000, 10, 5, time.Second, 210), at(2000, 10, 1000, 2*time.Second, 220),
		at(3000, 12, 3000, 2500*time.Millisecond, 230), at(4000, 12, 5000, 3*time.Second, 240), at(9000, 0, 5000, 4*time.Second, 50),
	}, job{Mode: messages})
	if got.Open != 12 || got.Rate != 2000 || got.CPU != 0.5 || got.rssKiB != 240 {
		t.Errorf("%+v", got)
	}
	if got := summarize(nil, job{Mode: messages}); got.Open != 0 || got.Rate != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}
