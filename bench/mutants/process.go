package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// mostMemory is how much address space a test may have, in KiB: a mutant may allocate without end.
const mostMemory = 8 << 20

// selection is some tests of a binary, and how long they may take together.
type selection struct {
	run, skip string
	limit     time.Duration
	env       []string
}

// result is how a test binary ended.
type result struct {
	passed  bool
	late    bool   // it took too long
	failed  string // the first test that failed, if one is named
	said    string // what was printed, or its last part
	elapsed time.Duration
}

// runTests runs tests of a binary, in the folder of their package. The first that fails ends it.
func runTests(ctx context.Context, root, folder, binary string, s selection) (result, error) {
	limited, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	args := []string{"-test.failfast", "-test.timeout", (s.limit + time.Minute).String(), "-test.run", s.run}
	if s.skip != "" {
		args = append(args, "-test.skip", s.skip)
	}
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, mostMemory)
	cmd := exec.CommandContext(limited, "sh", append([]string{"-c", script, binary}, args...)...)
	cmd.Dir, cmd.Env = filepath.Join(root, folder), append(os.Environ(), s.env...)
	cmd.WaitDelay = 5 * time.Second // what it has started may have its output open
	said := tail{most: 1 << 20}
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		return result{}, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && limited.Err() == nil {
		return result{}, err
	}
	r := result{passed: err == nil, late: limited.Err() != nil, said: said.String(), elapsed: time.Since(began)}
	if m := failedTest.FindStringSubmatch(r.said); m != nil {
		r.failed = m[1]
	}
	return r, nil
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// complaint is the line that says what was wrong.
func (r *result) complaint() string {
	if r.late {
		return "it takes too long"
	}
	for line := range strings.Lines(r.said) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") || complains.MatchString(line) {
			return line
		}
	}
	return r.failed
}

var complains = regexp.MustCompile(`^\w+_test\.go:\d+: `)

// tail keeps the first and the last of what is written to it.
type tail struct {
	first, last bytes.Buffer
	most        int
}

func (t *tail) Write(p []byte) (int, error) {
	if room := t.most - t.first.Len(); len(p) <= room {
		return t.first.Write(p)
	}
	if t.last.Len()+len(p) > t.most {
		t.last.Reset()
	}
	return t.last.Write(p)
}

func (t *tail) String() string { return t.first.String() + t.last.String() }
