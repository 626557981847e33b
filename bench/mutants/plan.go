package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// plan says what is drawn, and which tests try to notice it: testdata/drawn.json, testdata/own.json.
type plan struct {
	Seed   uint64   `json:"seed"`
	Count  int      `json:"count"` // 0: all
	Least  int      `json:"least"` // how many in a hundred must be noticed
	Files  []string `json:"files"` // patterns
	Stages []stage  `json:"stages"`
}

// stage is a part of the tests. They follow each other until one fails; the quickest are first.
type stage struct {
	Folder  string   `json:"folder"`  // of the package
	Of      string   `json:"of"`      // of the changed file, if the stage is for that folder only
	Run     []string `json:"run"`     // which tests; none: all
	Skip    []string `json:"skip"`    // but not these
	Seconds int      `json:"seconds"` // at most
	Turns   int      `json:"turns"`   // how many the simulator has, if not all it usually has
	Certain bool     `json:"certain"` // a failure is never chance: no real clock and no real socket has a part in it
}

func readPlan(root, name string) (p plan, err error) {
	text, err := os.ReadFile(filepath.Join(root, folder, "testdata", name+".json"))
	if err != nil {
		return p, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return p, d.Decode(&p)
}

// stagesFor are the stages for a changed file.
func (p *plan) stagesFor(file string) (some []stage) {
	for _, s := range p.Stages {
		if s.Of == "" || s.Of == filepath.ToSlash(filepath.Dir(file)) {
			some = append(some, s)
		}
	}
	return some
}

// selection is what the stage runs, without these tests besides, on the mutant of this number.
func (s *stage) selection(number int, without []string) selection {
	env := awake(number)
	if s.Turns > 0 {
		env = append(env, simTurns(s.Turns))
	}
	return selection{run: anyOf(s.Run, "."), skip: anyOf(append(without, s.Skip...), ""), limit: s.limit(), env: env}
}

func (s *stage) limit() time.Duration { return time.Duration(s.Seconds) * time.Second }

// awake is the environment in which the mutant of this number is awake, or, with 0, none.
func awake(number int) []string { return []string{mutantVariable + "=" + strconv.Itoa(number)} }

// anyOf is the pattern for any of these tests, which may be patterns themselves.
func anyOf(tests []string, none string) string {
	if len(tests) == 0 {
		return none
	}
	return "^(" + strings.Join(tests, "|") + ")$"
}
