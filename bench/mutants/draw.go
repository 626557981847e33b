package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"
)

// verdict is what became of a drawn mutant.
type verdict string

const (
	killed   verdict = "killed"
	timedOut verdict = "timeout" // counts as killed
	excused  verdict = "known"   // nothing noticed it, and testdata/survivors.txt says why
	survived verdict = "SURVIVED"
)

// draw is a run over drawn mutants.
type draw struct {
	plan
	builder  builder
	sources  map[string]*source // by folder
	known    []bug              // that nothing notices
	mutants  []site             // a mutant's number is its place here, plus one
	dir      string
	binaries map[string]string // test binaries with all mutants in them, asleep; by folder

	mu     sync.Mutex
	err    error
	report report
}

// newDraw draws the mutants.
func newDraw(root, plan string) (d *draw, err error) {
	d = &draw{builder: builder{root: root}, sources: map[string]*source{}, binaries: map[string]string{}}
	if d.plan, err = readPlan(root, plan); err != nil {
		return nil, err
	}
	if d.known, err = readBugs(filepath.Join(root, folder, "testdata", "survivors.txt")); err != nil {
		return nil, err
	}
	return d, d.choose()
}

// drawAll draws mutants and tells how many of those whose names match the tests notice.
func drawAll(ctx context.Context, root, plan string, only *regexp.Regexp, workers int, out io.Writer) error {
	fmt.Fprintln(out, "drawing, building, and running the tests with nothing changed")
	d, err := newDraw(root, plan)
	if err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "mutants"); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	if err := d.build(ctx, out); err != nil {
		return err
	}
	var numbers []int
	for i := range d.mutants {
		if only.MatchString(d.mutants[i].name()) {
			numbers = append(numbers, i+1)
		}
	}
	line := newProgress(out, len(numbers))
	eachOf(workers, len(numbers), func(i int) { d.next(ctx, numbers[i], line) })
	if d.err != nil {
		return d.err
	}
	return d.report.print(out, d.Least)
}

// choose draws as many as the plan wants of those that compile, or takes them all, in their order.
func (d *draw) choose() error {
	var all []site
	for _, pattern := range d.Files {
		folder := path.Dir(pattern)
		if d.sources[folder] != nil {
			continue
		}
		s, err := loadSource(d.builder.root, folder)
		if err != nil {
			return err
		}
		d.sources[folder] = s
		some, err := s.sites(d.Files)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	if d.Count == 0 {
		d.mutants = d.sound(all)
		return nil
	}
	shuffle(all, d.Seed)
	for len(d.mutants) < d.Count && len(all) > 0 {
		n := min(d.Count-len(d.mutants), len(all))
		d.mutants = append(d.mutants, d.sound(all[:n])...)
		all = all[n:]
	}
	return nil
}

// sound returns those of some sites that compile.
func (d *draw) sound(some []site) (good []site) {
	var numbers []int
	for _, folder := range slices.Sorted(maps.Keys(d.sources)) {
		var ours []int
		for i := range some {
			if path.Dir(some[i].file) == folder {
				ours = append(ours, i)
			}
		}
		numbers = append(numbers, d.sources[folder].sound(some, ours)...)
	}
	slices.Sort(numbers)
	for _, i := range numbers {
		good = append(good, some[i])
	}
	return good
}

// build makes the test binaries with all mutants in them, and runs all tests with none awake. Those that fail say nothing
// on this machine today: they are left out.
func (d *draw) build(ctx context.Context, out io.Writer) error {
	changed := map[string][]byte{}
	for folder, s := range d.sources {
		var ours []int
		for i := range d.mutants {
			if path.Dir(d.mutants[i].file) == folder {
				ours = append(ours, i)
			}
		}
		maps.Copy(changed, s.weave(d.mutants, ours))
	}
	for i := range d.Stages {
		s := &d.Stages[i]
		if d.binaries[s.Folder] == "" {
			binary, refused, err := d.builder.build(ctx, d.dir, s.Folder, changed)
			if err == nil && refused != "" {
				err = fmt.Errorf("the mutants of %s do not compile: %s", s.Folder, refused)
			}
			if err != nil {
				return err
			}
			d.binaries[s.Folder] = binary
		}
		if err := d.leaveOut(ctx, s, out); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut leaves out the tests of a stage that fail, or take too long, with nothing changed: a few at most.
func (d *draw) leaveOut(ctx context.Context, s *stage, out io.Writer) error {
	const most = 8
	for range most {
		r, err := d.run(ctx, s, s.selection(0, nil))
		switch {
		case err != nil:
			return err
		case r.passed:
			return nil
		case s.Certain || r.failed == "":
			return fmt.Errorf("the tests of %s fail with nothing changed: %s", s.Folder, r.complaint())
		}
		fmt.Fprintf(out, "left out: %s, which fails with nothing changed: %s\n", r.failed, short(r.complaint()))
		s.Skip = append(s.Skip, r.failed)
	}
	return fmt.Errorf("more than %d tests of %s fail with nothing changed", most, s.Folder)
}

// next tries the mutant of a number, unless an error has ended the run.
func (d *draw) next(ctx context.Context, number int, line *progress) {
	d.mu.Lock()
	over := d.err != nil
	d.mu.Unlock()
	if over {
		return
	}
	began := time.Now()
	s := &d.mutants[number-1]
	v, said, err := d.try(ctx, s, number)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.err = errors.Join(d.err, err)
		return
	}
	d.report.add(s, v)
	line.add(nil, "%-8s %5.0f s  %s  %s", v, time.Since(began).Seconds(), s.name(), said)
}

// try runs the stages on a mutant until one notices it.
func (d *draw) try(ctx context.Context, s *site, number int) (v verdict, said string, err error) {
	for _, stage := range d.stagesFor(s.file) {
		if v, said, err = d.stage(ctx, &stage, number); err != nil || v != survived {
			return v, said, err
		}
	}
	changed := s.apply(d.sources[path.Dir(s.file)].text[s.file])
	for i := range d.known {
		same, err := d.known[i].makes(d.builder.root, changed)
		if err != nil {
			return "", "", err
		}
		if same {
			return excused, d.known[i].why, nil
		}
	}
	return survived, "", nil
}

// stage tells whether a stage's tests notice a mutant, and what they say.
func (d *draw) stage(ctx context.Context, s *stage, number int) (v verdict, said string, err error) {
	var chance []string // tests that failed once and not again: that was chance
	for {
		r, err := d.run(ctx, s, s.selection(number, chance))
		switch {
		case err != nil:
			return "", "", err
		case r.late:
			return timedOut, s.Folder, nil
		case r.passed:
			return survived, "", nil
		case s.Certain || r.failed == "":
			return killed, r.complaint(), nil
		}
		again, err := d.run(ctx, s, selection{run: exactly(r.failed), limit: s.limit(), env: awake(number)})
		if err != nil || !again.passed {
			return killed, r.failed + ": " + r.complaint(), err
		}
		chance = append(chance, r.failed)
	}
}

func (d *draw) run(ctx context.Context, s *stage, which selection) (result, error) {
	return runTests(ctx, d.builder.root, s.Folder, d.binaries[s.Folder], which)
}
