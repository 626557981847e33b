package main

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/cmd/gannet/connect"
)

// scenario is all that a run is told: the plan, who does it, and where reports go. A scenario file has the same fields.
type scenario struct {
	load.Plan `yaml:",inline"`

	Procs  string `yaml:"procs,omitempty"`  // a number, or "auto"; "": 1
	Agents agents `yaml:"agents,omitempty"` // none: this machine does the run
	PIDs   []int  `yaml:"pids,omitempty"`   // of the target, on this machine
	JSON   string `yaml:"json,omitempty"`   // files of reports
	HDR    string `yaml:"hdr,omitempty"`
	CSV    string `yaml:"csv,omitempty"`
	HTML   string `yaml:"html,omitempty"`
}

// loadScenario is what the file and the flags say. Flags win.
func loadScenario(c *cli.Command) (*scenario, error) {
	if n := c.Args().Len(); n > 1 {
		return nil, fmt.Errorf("%s takes one URL, and %q is a second one", c.FullName(), c.Args().Get(1))
	}
	s := &scenario{}
	if file := c.String("scenario-file"); file != "" {
		if err := s.read(file); err != nil {
			return nil, err
		}
	}
	if c.Bool("text") && c.Bool("binary") {
		return nil, errors.New("--text and --binary do not go together")
	}
	f := flagsOver{c: c}
	f.connections(s)
	f.load(s)
	f.messages(s)
	f.rest(s)
	if f.err != nil {
		return nil, f.err
	}
	if address := cmp.Or(c.Args().First(), s.URL); address != "" {
		s.URL = connect.CompleteAddress(address, s.TLS != load.TLS{})
	}
	completed := *s
	return s, completed.complete()
}

// flagsOver puts what the flags say over a scenario. err is the first thing that was wrong.
type flagsOver struct {
	c   *cli.Command
	err error
}

// over sets a field to what a flag says, if it was given.
func over[T any](f *flagsOver, name string, field *T, said func(string) T) {
	if f.c.IsSet(name) {
		*field = said(name)
	}
}

// read sets a field to what a flag's text means, if it was given.
func read[T any](f *flagsOver, name string, field *T, parse func(string) (T, error)) {
	if !f.c.IsSet(name) {
		return
	}
	v, err := parse(f.c.String(name))
	if err != nil {
		f.fail(name, err)
		return
	}
	*field = v
}

// each sets a list to what a flag that may come again means, if it was given.
func each[T any](f *flagsOver, name string, field *[]T, texts []string, parse func(string) (T, error)) {
	if !f.c.IsSet(name) {
		return
	}
	*field = nil
	for _, text := range texts {
		v, err := parse(text)
		if err != nil {
			f.fail(name, err)
			return
		}
		*field = append(*field, v)
	}
}

func (f *flagsOver) fail(name string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("--%s: %w", name, err)
	}
}

func (f *flagsOver) duration(name string) load.Duration { return load.Duration(f.c.Duration(name)) }
func (f *flagsOver) list(name string) []string          { return split(f.c.StringSlice(name)) }

func (f *flagsOver) connections(s *scenario) {
	c := f.c
	read(f, "connections", &s.Connections, parseAtLeastOne)
	read(f, "connect-rate", &s.ConnectRate, parseSomeRate)
	over(f, "connect-timeout", &s.ConnectTimeout, f.duration)
	over(f, "source", &s.Sources, f.list)
	over(f, "protocol", &s.Protocol, f.list)
	each(f, "header", &s.Headers, c.StringSlice("header"), parseHeader)
	over(f, "origin", &s.Origin, c.String)
	over(f, "deflate", &s.Deflate, c.Bool)
	over(f, "ping", &s.Ping, f.duration)
	over(f, "cert", &s.TLS.CertFile, c.String)
	over(f, "key", &s.TLS.KeyFile, c.String)
	over(f, "ca", &s.TLS.CAFile, c.String)
	over(f, "server-name", &s.TLS.ServerName, c.String)
	over(f, "insecure", &s.TLS.Insecure, c.Bool)
	if s.TLS.KeyFile == "" {
		s.TLS.KeyFile = s.TLS.CertFile
	}
}

// load sets what goes when. A shape of load that the file gives does not stay beside another one that a flag gives.
func (f *flagsOver) load(s *scenario) {
	c := f.c
	switch {
	case c.IsSet("phase"):
		s.Rate, s.Duration, s.FindRate = 0, 0, ""
	case c.IsSet("find-rate"), c.IsSet("rate"), c.IsSet("duration"):
		s.Phases = nil
	}
	read(f, "rate", &s.Rate, parseSomeRate)
	over(f, "depth", &s.Depth, c.Int)
	over(f, "duration", &s.Duration, f.duration)
	over(f, "warmup", &s.Warmup, f.duration)
	each(f, "phase", &s.Phases, c.StringSlice("phase"), parsePhase)
	over(f, "find-rate", &s.FindRate, c.String)
	over(f, "answer-timeout", &s.AnswerTimeout, f.duration)
	over(f, "fail", &s.Fail, f.list)
	over(f, "abort-on-fail", &s.AbortOnFail, c.Bool)
}

// messages sets what messages hold. What the file gives does not stay beside another one that a flag gives.
func (f *flagsOver) messages(s *scenario) {
	c := f.c
	if c.IsSet("size") || c.IsSet("kind") || c.IsSet("message") || c.IsSet("payload") || c.IsSet("template") {
		s.Payload.Text, s.Payload.File, s.Payload.Template = "", "", ""
	}
	over(f, "size", &s.Payload.Size, c.Int)
	over(f, "kind", &s.Payload.Kind, c.String)
	over(f, "message", &s.Payload.Text, c.String)
	over(f, "payload", &s.Payload.File, c.String)
	over(f, "template", &s.Payload.Template, c.String)
	over(f, "binary", &s.Binary, c.Bool)
	if c.Bool("text") {
		s.Binary = false
	}
	over(f, "verify", &s.Verify, c.Bool)
	over(f, "expect", &s.Expect, func(name string) load.Expectation { return load.Expectation(c.String(name)) })
	over(f, "seed", &s.Seed, c.Uint64)
}

func (f *flagsOver) rest(s *scenario) {
	c := f.c
	over(f, "scenario", &s.Scenario, func(name string) load.Scenario { return load.Scenario(c.String(name)) })
	over(f, "writers", &s.Writers, c.Int)
	over(f, "churn-after", &s.Churn, f.duration)
	over(f, "drip-rate", &s.DripRate, c.Int)
	over(f, "loops", &s.Loops, c.Int)
	over(f, "procs", &s.Procs, c.String)
	over(f, "agents", &s.Agents.Count, c.Int)
	f.broker(&s.Agents)
	each(f, "pid", &s.PIDs, f.list("pid"), parsePID)
	over(f, "json", &s.JSON, c.String)
	over(f, "hdr", &s.HDR, c.String)
	over(f, "csv", &s.CSV, c.String)
	over(f, "html", &s.HTML, c.String)
}

// parseAtLeastOne and parseSomeRate refuse a 0, which a plan would take for its default.
func parseAtLeastOne(text string) (int, error) {
	n, err := parseCount(text)
	if err == nil && n == 0 {
		err = errors.New("0 is too few: at least 1")
	}
	return n, err
}

func parseSomeRate(text string) (float64, error) {
	rate, err := parseRate(text)
	if err == nil && rate == 0 {
		err = errors.New("a rate of 0 is no load; --scenario idle sends nothing")
	}
	return rate, err
}

func parseHeader(text string) (load.HeaderField, error) {
	name, value, ok := strings.Cut(text, ":")
	if name = strings.TrimSpace(name); !ok || name == "" {
		return load.HeaderField{}, fmt.Errorf("%q should be 'Name: value'", text)
	}
	return load.HeaderField{Name: name, Value: strings.TrimSpace(value)}, nil
}

func parsePID(text string) (int, error) {
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%q is no process id", text)
	}
	return pid, nil
}

// usualRate is that of a run which names none: messages a second.
const usualRate = 1000

// complete fills in defaults, and refuses what cannot be, or cannot be together, whatever machine this is.
func (s *scenario) complete() error {
	if s.URL == "" {
		return errors.New("which server? Give a URL, such as ws://example.com/ or :8080")
	}
	p := &s.Plan
	p.Complete()
	sends := p.Scenario != load.Idle && p.Scenario != load.Storm
	if sends && p.Rate == 0 && p.Depth == 0 && len(p.Phases) == 0 && p.FindRate == "" {
		p.Rate = usualRate
	}
	_, _, err := s.processes()
	return errors.Join(err, s.Agents.check(s), inFlags(p.Check()))
}

// processes are how many shall share the connections; auto: as many as it takes.
func (s *scenario) processes() (n int, auto bool, err error) {
	switch s.Procs {
	case "":
		return 1, false, nil
	case "auto":
		return 0, true, nil
	}
	n, err = strconv.Atoi(s.Procs)
	if err != nil || n < 1 {
		return 0, false, fmt.Errorf("--procs: %q is neither a number of processes nor auto", s.Procs)
	}
	return n, false, nil
}
