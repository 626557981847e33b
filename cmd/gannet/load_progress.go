package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gannet-ws/gannet/bench/load"
)

// progress shows how a run goes on.
type progress interface {
	show(load.Snapshot)
	note(text string) // a line that stays
	end()             // nothing is shown any more; a terminal is as it was
}

// newProgress is a screen on a terminal, lines elsewhere, and nothing for who wants nothing. watched: the target's process is shown.
func newProgress(to *os.File, quiet, watched bool) progress {
	switch kind := os.Getenv("TERM"); {
	case quiet:
		return silence{}
	case term.IsTerminal(int(to.Fd())) && kind != "dumb" && kind != "":
		return newScreen(to, watched)
	}
	return &lines{to: to, watched: watched}
}

type silence struct{}

func (silence) show(load.Snapshot) {}
func (silence) note(string)        {}
func (silence) end()               {}

// linesEvery is how often there is a line while a stage goes on.
const linesEvery = 5 * time.Second

// lines are for logs: one when a stage begins, and then one in five seconds.
type lines struct {
	to      io.Writer
	watched bool
	stage   string
	next    time.Duration // in the stage
	steps   steps
}

func (l *lines) show(s load.Snapshot) {
	if line := l.steps.line(s); line != "" {
		l.note(line)
	}
	if s.Stage == l.stage && s.Elapsed < l.next || s.Stage == "warm-up" && s.Of == 0 {
		return
	}
	l.stage, l.next = s.Stage, s.Elapsed.Truncate(linesEvery)+linesEvery
	var parts []string
	for _, f := range factsOf(s, l.watched) {
		parts = append(parts, f.String())
	}
	l.note(stageOf(s) + ": " + strings.Join(parts, "; "))
}

func (l *lines) note(text string) { fmt.Fprintln(l.to, text) }
func (l *lines) end()             {}

// steps knows which step of a search was said last.
type steps struct{ said load.Step }

// line is what is to be said of a search's newest step, once.
func (k *steps) line(s load.Snapshot) string {
	if s.Step == nil || *s.Step == k.said {
		return ""
	}
	k.said = *s.Step
	return stepLine(s.Step)
}
