package connect

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peterh/liner"
)

// TestHistory: what is kept is there again, for its owner alone.
func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "gannet", "connect_history")
	h := openHistory(path)
	for line, kept := range map[string]bool{
		"one": true, " secret": false, "esc\x1b[2J": false, "bidi\u202e": false, "not \xff UTF-8": false, strings.Repeat("x", longestKept+1): false,
	} {
		if h.add(line) != kept {
			t.Errorf("%q: kept %v", line, !kept)
		}
	}
	if h.add("two"); h.add("two") {
		t.Error("the same line twice")
	}
	if h = openHistory(path); !slices.Equal(h.lines, []string{"one", "two"}) || h.err != nil {
		t.Errorf("%q, %v", h.lines, h.err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Error(name, info.Mode(), err)
		}
	}
}

// TestHistoryOfOthers: a file that somebody else wrote is made private, and what is not fit for a terminal is left out.
func TestHistoryOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connect_history")
	if err := os.WriteFile(path, []byte("good\n\x1b]0;x\a\n\nbad \xff\nlast"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := openHistory(path)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if !slices.Equal(h.lines, []string{"good", "last"}) {
		t.Errorf("%q", h.lines)
	}
}

// TestHistoryIsCut: it does not grow for ever.
func TestHistoryIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "connect_history")
	var b strings.Builder
	for n := range 2*liner.HistoryLimit + 1 {
		b.WriteString(strconv.Itoa(n) + "\n")
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	openHistory(path)
	h := openHistory(path)
	if len(h.lines) != liner.HistoryLimit || h.lines[len(h.lines)-1] != strconv.Itoa(2*liner.HistoryLimit) {
		t.Errorf("%d lines, the last one %q", len(h.lines), h.lines[len(h.lines)-1])
	}
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != liner.HistoryLimit {
		t.Error(strings.Count(string(text), "\n"), err)
	}
}

// TestHistoryWithoutAPlace: no file is no reason not to connect.
func TestHistoryWithoutAPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h := openHistory(filepath.Join(file, "gannet", "connect_history"))
	if h.err == nil || !h.add("kept for this run") || h.path != "" {
		t.Errorf("%+v", h)
	}
	if h := openHistory(""); h.err != nil || !h.add("so is this") {
		t.Errorf("%+v", h)
	}
}

func TestHistoryPath(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	if got := HistoryPath(); got != filepath.Join(state, "gannet", "connect_history") {
		t.Error(got)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	if got := HistoryPath(); strings.Contains(got, "relative") {
		t.Error(got)
	}
}

// TestCompletion: Tab completes commands, and is a tab in a message.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"/p": "/ping ", "/h": "/help", "/bin": "/binary ", "/q": "/quit", "x": "x" + tabShown, "": tabShown, "//p": "//p" + tabShown,
		"/text a": "/text a" + tabShown,
	} {
		head, found, tail := complete(line, len(line))
		if len(found) == 0 || head+found[0]+tail != want {
			t.Errorf("%q: %q %q %q, want %q", line, head, found, tail, want)
		}
	}
	if head, found, tail := complete("日本", 1); head != "日" || found[1] != tabShown+tabShown || tail != "本" {
		t.Error(head, found, tail)
	}
	if _, found, _ := complete("/nope", 5); len(found) != 0 {
		t.Error(found)
	}
}
