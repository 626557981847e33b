package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// bug is a change of the sources that a test must notice, as it stands in testdata:
//
//	= name: what is wrong
//	test engine TestSim        the folder of its package, and the test (its subtests after slashes)
//	law  a regular expression  what the test says; without it, its failure is enough
//	turns 20000                how many turns the simulator has, if not defaultTurns
//	why  a reason              instead of test and law, where no test can notice it: survivors.txt
//	@ engine/loop.go
//	 a line that stays
//	-a line that goes
//	+a line that comes
//
// There may be several changes, each with its own @. What stays and goes must stand in the file in exactly one
// place, line for line; space around a line does not count. Lines with # are comments.
type bug struct {
	name, about string
	folder      string // of the test's package
	test        string
	law         *regexp.Regexp
	turns       int
	why         string
	edits       []edit
	at          string // where it is written
}

// edit replaces some lines of a file.
type edit struct {
	file     string
	old, new []string
}

// defaultTurns is within how many turns the simulator must catch a planted bug. Bugs of compression have twice as
// many: half of the simulator's servers do not compress.
const defaultTurns = 10_000

// readBugs reads the bugs of all files that match a pattern.
func readBugs(pattern string) ([]bug, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return nil, cmp.Or(err, fmt.Errorf("no file is called %s", pattern))
	}
	var all []bug
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		some, err := parseBugs(filepath.Base(name), string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func parseBugs(name, text string) ([]bug, error) {
	var all []bug
	for i, line := range strings.Split(text, "\n") {
		at := fmt.Sprintf("%s:%d", name, i+1)
		if kind, rest := cut(line); kind == "=" {
			all = append(all, bug{turns: defaultTurns, at: at})
			b := &all[len(all)-1]
			b.name, b.about, _ = strings.Cut(rest, ": ")
		} else if kind == "#" || line == "" {
			continue
		} else if len(all) == 0 {
			return nil, fmt.Errorf("%s: %q comes before the first bug", at, line)
		} else if err := all[len(all)-1].add(kind, rest, line); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	for _, b := range all {
		if err := b.incomplete(); err != nil {
			return nil, fmt.Errorf("%s: %q %w", b.at, b.name, err)
		}
	}
	return all, nil
}

func cut(line string) (kind, rest string) {
	kind, rest, _ = strings.Cut(line, " ")
	return kind, strings.TrimSpace(rest)
}

// add takes a line of a bug.
func (b *bug) add(kind, rest, line string) (err error) {
	if len(b.edits) > 0 && strings.ContainsAny(line[:1], " \t+-") {
		b.edits[len(b.edits)-1].add(line)
		return nil
	}
	switch kind {
	case "test":
		b.folder, b.test, _ = strings.Cut(rest, " ")
	case "law":
		b.law, err = regexp.Compile(rest)
	case "turns":
		b.turns, err = strconv.Atoi(rest)
	case "why":
		b.why = rest
	case "@":
		b.edits = append(b.edits, edit{file: rest})
	default:
		err = fmt.Errorf("%q is no line of a bug", line)
	}
	return err
}

func (e *edit) add(line string) {
	switch line[0] {
	case '-':
		e.old = append(e.old, line[1:])
	case '+':
		e.new = append(e.new, line[1:])
	default:
		e.old = append(e.old, line)
		e.new = append(e.new, line)
	}
}

func (b *bug) incomplete() error {
	switch {
	case b.name == "" || len(b.edits) == 0:
		return fmt.Errorf("changes nothing, or has no name")
	case b.why == "" && (b.folder == "" || b.test == ""):
		return fmt.Errorf("names no test")
	}
	for _, e := range b.edits {
		if len(e.old) == 0 || slices.Equal(e.old, e.new) {
			return fmt.Errorf("changes nothing in %s, or says not where", e.file)
		}
	}
	return nil
}

// apply makes the changed files of a bug, by their paths in the repository at root.
func (b *bug) apply(root string) (map[string][]byte, error) {
	changed := map[string][]byte{}
	for _, e := range b.edits {
		text, ok := changed[e.file]
		if !ok {
			var err error
			if text, err = os.ReadFile(filepath.Join(root, e.file)); err != nil {
				return nil, err
			}
		}
		text, err := e.apply(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", b.at, b.name, err)
		}
		changed[e.file] = text
	}
	return changed, nil
}

// makes tells whether the bug makes the same files, space around lines and empty lines apart.
func (b *bug) makes(root string, changed map[string][]byte) (bool, error) {
	ours, err := b.apply(root)
	return maps.EqualFunc(ours, changed, func(a, b []byte) bool { return bytes.Equal(tight(a), tight(b)) }), err
}

func tight(text []byte) []byte {
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		lines[i] = bytes.TrimSpace(line)
	}
	return bytes.Join(slices.DeleteFunc(lines, func(l []byte) bool { return len(l) == 0 }), []byte("\n"))
}

// apply replaces the one place in text where the edit's old lines stand.
func (e *edit) apply(text []byte) ([]byte, error) {
	lines := strings.Split(string(text), "\n")
	found := -1
	for at := range max(0, len(lines)-len(e.old)+1) {
		if !slices.EqualFunc(lines[at:at+len(e.old)], e.old, sameLine) {
			continue
		}
		if found >= 0 {
			return nil, fmt.Errorf("its text stands twice in %s, in lines %d and %d", e.file, found+1, at+1)
		}
		found = at
	}
	if found < 0 {
		return nil, fmt.Errorf("its text does not stand in %s any more: %q", e.file, strings.TrimSpace(e.old[0]))
	}
	return []byte(strings.Join(slices.Replace(lines, found, found+len(e.old), e.new...), "\n")), nil
}

func sameLine(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }
