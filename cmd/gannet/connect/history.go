package connect

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/peterh/liner"
)

// history is what was typed, in a file that only its owner can read: messages may hold secrets. Runs at the same time
// append to it side by side.
type history struct {
	path  string // "": this run alone remembers
	lines []string
	last  string
	err   error // why there is no file
}

// longestKept is the longest line that is kept, in bytes.
const longestKept = 8 << 10

// HistoryPath is where the history is kept: the XDG base directory for state, or "" where there is no home.
func HistoryPath() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // the specification wants others to be ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "gannet", "connect_history")
}

func openHistory(path string) *history {
	h := &history{path: path}
	if path == "" {
		return h
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	} else if err == nil {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		h.path, h.err = "", err
		return h
	}
	h.read(text)
	return h
}

// read takes the lines that are fit to be shown, and cuts a file that has grown to twice the length.
func (h *history) read(text []byte) {
	all := bytes.Split(text, []byte{'\n'})
	for _, line := range all {
		if s := string(line); s != "" && isKept(s) {
			h.lines = append(h.lines, s)
		}
	}
	if len(h.lines) > liner.HistoryLimit {
		h.lines = h.lines[len(h.lines)-liner.HistoryLimit:]
	}
	if len(all) > 2*liner.HistoryLimit {
		h.cut()
	}
}

// cut replaces the file by what is kept of it.
func (h *history) cut() {
	fresh, err := os.CreateTemp(filepath.Dir(h.path), "connect_history-*") // 0600
	if err != nil {
		return
	}
	_, err = fresh.WriteString(strings.Join(h.lines, "\n") + "\n")
	if err = errors.Join(err, fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(fresh.Name())
	}
}

// isKept tells whether a line may be kept: it is text that a terminal can have, not too long, and does not begin with a blank.
func isKept(line string) bool {
	return line[0] != ' ' && len(line) <= longestKept && utf8.ValidString(line) && strings.IndexFunc(line, isHarmful) < 0
}

// add keeps a line, and reports whether it did.
func (h *history) add(line string) bool {
	if line == h.last || !isKept(line) {
		return false
	}
	h.last = line
	if h.path == "" {
		return true
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		h.path, h.err = "", err
	}
	return true
}
