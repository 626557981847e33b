package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
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
	refused  verdict = "no build" // does not count, and the next one is taken
)

// draw is a run over drawn mutants.
type draw struct {
	plan
	builder builder
	known   []bug // that nothing notices

	mu     sync.Mutex
	sites  []site // not taken yet
	err    error
	report report
}

// drawAll draws mutants whose names match until so many could be built, and tells how many the tests noticed.
func drawAll(ctx context.Context, root string, only *regexp.Regexp, workers int, out io.Writer) error {
	cache, err := os.MkdirTemp("", "mutants-cache")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	d, err := newDraw(root, only)
	if err != nil {
		return err
	}
	d.builder.env = []string{"GOCACHE=" + cache} // some GB that nobody needs again
	if err := d.sound(ctx); err != nil {
		return err
	}
	line := newProgress(out, d.Count)
	eachOf(workers, d.Count, func(int) {
		if err := d.next(ctx, line); err != nil {
			d.mu.Lock()
			d.err, d.sites = errors.Join(d.err, err), nil
			d.mu.Unlock()
		}
	})
	if d.err != nil {
		return d.err
	}
	return d.report.print(out, d.Least)
}

func newDraw(root string, only *regexp.Regexp) (*draw, error) {
	p, err := readPlan(root)
	if err != nil {
		return nil, err
	}
	d := &draw{plan: p, builder: builder{root: root}}
	all, err := findSites(root, p.Files)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if only.MatchString(s.name()) {
			d.sites = append(d.sites, s)
		}
	}
	shuffle(d.sites, p.Seed)
	d.Count = min(d.Count, len(d.sites))
	d.known, err = readBugs(filepath.Join(root, folder, "testdata", "survivors.txt"))
	return d, err
}

// sound makes sure that all stages pass when nothing is changed: a failure says something only then.
func (d *draw) sound(ctx context.Context) error {
	m, err := d.newMutant(nil)
	if err != nil {
		return err
	}
	defer m.remove()
	for _, s := range d.Stages {
		v, said, err := m.stage(ctx, s)
		switch {
		case err != nil:
			return err
		case v != survived:
			return fmt.Errorf("the tests of %s fail, or take too long, with nothing changed: %s", s.Folder, said)
		}
	}
	return nil
}

// take is the next site; none when all are taken, or an error has ended the run.
func (d *draw) take() (s site, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.sites) == 0 {
		return s, false
	}
	s, d.sites = d.sites[0], d.sites[1:]
	return s, true
}

// next tries one mutant that can be built.
func (d *draw) next(ctx context.Context, line *progress) error {
	for {
		s, ok := d.take()
		if !ok {
			return nil
		}
		began := time.Now()
		v, said, err := d.try(ctx, &s)
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.report.add(&s, v)
		d.mu.Unlock()
		if v != refused {
			line.add(nil, "%-8s %5.0f s  %s  %s", v, time.Since(began).Seconds(), s.name(), said)
			return nil
		}
	}
}

// try runs the stages on a mutant until one notices it.
func (d *draw) try(ctx context.Context, s *site) (v verdict, said string, err error) {
	changed, err := s.apply(d.builder.root)
	if err != nil {
		return "", "", err
	}
	m, err := d.newMutant(changed)
	if err != nil {
		return "", "", err
	}
	defer m.remove()
	for _, stage := range d.stagesFor(s.file) {
		if v, said, err = m.stage(ctx, stage); err != nil || v != survived {
			return v, said, err
		}
	}
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

// mutant is a changed tree, with the test binaries that were made of it.
type mutant struct {
	*builder
	dir      string
	changed  map[string][]byte
	binaries map[string]string // by folder
}

func (d *draw) newMutant(changed map[string][]byte) (*mutant, error) {
	dir, err := os.MkdirTemp("", "mutant")
	return &mutant{&d.builder, dir, changed, map[string]string{}}, err
}

func (m *mutant) remove() { _ = os.RemoveAll(m.dir) }

// stage tells whether a stage's tests notice the mutant, and what they say.
func (m *mutant) stage(ctx context.Context, s stage) (v verdict, said string, err error) {
	if m.binaries[s.Folder] == "" {
		binary, no, err := m.build(ctx, m.dir, s.Folder, m.changed)
		if err != nil || no != "" {
			return refused, no, err
		}
		m.binaries[s.Folder] = binary
	}
	var chance []string // tests that failed once and not again: what they say is chance
	for {
		r, err := m.run(ctx, &s, s.selection(chance))
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
		again, err := m.run(ctx, &s, selection{run: exactly(r.failed), limit: time.Duration(s.Seconds) * time.Second})
		if err != nil || !again.passed {
			return killed, r.failed + ": " + r.complaint(), err
		}
		chance = append(chance, r.failed)
	}
}

func (m *mutant) run(ctx context.Context, s *stage, which selection) (result, error) {
	return runTests(ctx, m.root, s.Folder, m.binaries[s.Folder], which)
}
