package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/report"
)

// runLoad does what a scenario says, and tells what came of it.
func runLoad(s *scenario, quiet bool) error {
	if err := s.complete(); err != nil {
		return &loadFailure{statusUsage, err}
	}
	processes := 0
	if s.Agents.Count == 0 {
		var err error
		if processes, err = thisMachine().share(s); err != nil {
			return &loadFailure{statusUsage, err}
		}
	}
	if err := s.canWrite(); err != nil {
		return &loadFailure{statusUsage, err}
	}
	r := &loadRun{scenario: s, progress: newProgress(os.Stderr, quiet, len(s.PIDs) > 0)}
	result, err := r.drive(processes)
	r.progress.end()
	if result == nil {
		return r.notBegun(err)
	}
	return r.finish(result, err)
}

// loadRun is a run, and who watches it.
type loadRun struct {
	*scenario
	progress progress
	nobody   bool // not one connection opened: the run was ended here
	status   int  // of a signal; 0: there was none
}

// drive is the run itself. Signals end it early. Without a result it could not begin.
func (r *loadRun) drive(processes int) (*load.Result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := watchSignals(cancel, r.progress.note)
	defer func() { r.status = signals.stop() }()
	generators, free, err := r.generators(ctx, processes, r.progress.note)
	if err != nil {
		return nil, err
	}
	defer free()
	return load.Drive(ctx, r.Plan, generators, load.DriveOptions{
		Version: version(), PIDs: r.PIDs, AtOnce: signals.second,
		Progress: func(s load.Snapshot) {
			if s.Stage == "connecting" && s.Opened == 0 && s.Failed > 0 { // the others would fail as well
				r.nobody = true
				cancel()
			}
			r.progress.show(s)
		},
	})
}

// notBegun is why there is no result.
func (r *loadRun) notBegun(err error) error {
	var known *loadFailure
	switch {
	case r.status != 0:
		return &loadFailure{r.status, nil}
	case errors.As(err, &known):
		return err
	}
	return &loadFailure{statusUsage, inFlags(err)}
}

// finish writes the reports, and finds the exit status.
func (r *loadRun) finish(result *load.Result, err error) error {
	if errors.Is(err, load.ErrNoConnection) || r.nobody && result.Connections.Opened == 0 {
		err = explainNobody(&r.Plan, result.Errors)
		result.Ended = "failed: " + err.Error()
	}
	failed := r.verdict(result, err)
	if result.Connections.Opened > 0 {
		if err := r.writeText(result); err != nil {
			failed = worse(failed, failedRun("the report could not be written: %w", err))
		}
	}
	return worse(failed, r.writeFiles(result))
}

// verdict is what a result means for the exit status. The report says most of it.
func (r *loadRun) verdict(result *load.Result, err error) error {
	if r.status != 0 {
		return &loadFailure{r.status, nil}
	}
	if err != nil {
		return &loadFailure{statusFailedRun, err}
	}
	for _, g := range result.Generators {
		if g.Lost {
			return failedRun("%s was lost: the figures are without what it did since its last report", g.Name)
		}
	}
	var unkept []string
	for _, v := range result.Thresholds {
		if !v.Holds {
			unkept = append(unkept, fmt.Sprintf("%s is %s", v.Threshold, v.Value))
		}
	}
	if len(unkept) > 0 {
		return &loadFailure{statusUnkept, errors.New("did not hold: " + strings.Join(unkept, ", "))}
	}
	if r.FindRate != "" && !found(result) {
		return &loadFailure{statusUnkept, fmt.Errorf("no rate was found at which %s holds", r.FindRate)}
	}
	return nil
}

// found tells whether a search ended at a rate that holds.
func found(result *load.Result) bool {
	n := len(result.Steps)
	return n > 0 && result.Steps[n-1].Holds
}

// worse joins two failures: the status is that of the first one.
func worse(a, b error) error {
	if a == nil || b == nil {
		return errors.Join(a, b)
	}
	return &loadFailure{exitStatus(a), errors.Join(a, b)}
}

// writeText writes the report to stdout.
func (r *loadRun) writeText(result *load.Result) error {
	if r.JSON == toStdout {
		return nil
	}
	return report.Text(os.Stdout, result, widthOf(os.Stdout))
}

// toStdout is the name of a file that is none.
const toStdout = "-"

// files are the reports that were asked for.
func (s *scenario) files() map[string]report.Format {
	all := map[string]report.Format{}
	for path, format := range map[*string]report.Format{&s.JSON: report.JSON, &s.HDR: report.HDRFor(s.HDR), &s.CSV: report.CSV, &s.HTML: report.HTML} {
		if *path != "" && *path != toStdout {
			all[*path] = format
		}
	}
	return all
}

// canWrite finds out before the run what would be a pity after it.
func (s *scenario) canWrite() error {
	for path := range s.files() {
		if err := report.CanWrite(path); err != nil {
			return err
		}
	}
	return nil
}

func (r *loadRun) writeFiles(result *load.Result) error {
	var failed []error
	if r.JSON == toStdout {
		failed = append(failed, report.JSON(os.Stdout, result))
	}
	for path, format := range r.files() {
		failed = append(failed, report.WriteFile(path, result, format))
	}
	if err := errors.Join(failed...); err != nil {
		return &loadFailure{statusFailedRun, err}
	}
	return nil
}

// widthOf is that of a terminal; 0: none, or one that shows no styles.
func widthOf(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "" {
		return 0
	}
	return width
}
