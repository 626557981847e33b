package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/gannet-ws/gannet/bench/load"
)

// everyFlag is a command line with every option that a scenario file can say.
var everyFlag = []string{
	"--connections", "2k", "--connect-rate", "500/s", "--connect-timeout", "3s", "--source", "127.0.0.1-127.0.0.4,127.0.1.1", "--protocol", "a, b", "--protocol", "c",
	"--header", "X-One: 1, 2", "--header", "X-One:3", "--origin", "https://example.com", "--deflate", "--ping", "30s", "--cert", "c.pem", "--key", "k.pem",
	"--ca", "ca.pem", "--server-name", "inner.example",
	"--warmup", "2s", "--phase", "30s:1000/s:1500", "--phase", "1m:50k:2000:ramp", "--answer-timeout", "7s",
	"--template", "{{.Seq}}", "--binary", "--verify", "--expect", "echo", "--seed", "42",
	"--procs", "2", "--loops", "1", "--pid", "1,2", "--pid", "3", "--json", "r.json", "--hdr", "r.hdr", "--csv", "r.csv", "--html", "r.html",
	"--scenario", "echo", "--fail", "p99<5ms,errors<0.1%", "--fail", "rate>1000", "--abort-on-fail", "wss://example.com/ws",
}

func everyScenario() *scenario {
	return &scenario{
		Plan: load.Plan{
			URL: "wss://example.com/ws", Scenario: load.Echo, Connections: 2000, ConnectRate: 500, ConnectTimeout: load.Duration(3 * time.Second),
			Sources: []string{"127.0.0.1-127.0.0.4", "127.0.1.1"}, Protocol: []string{"a", "b", "c"},
			Headers: []load.HeaderField{{Name: "X-One", Value: "1, 2"}, {Name: "X-One", Value: "3"}}, Origin: "https://example.com", Deflate: true,
			Ping: load.Duration(30 * time.Second), TLS: load.TLS{CertFile: "c.pem", KeyFile: "k.pem", CAFile: "ca.pem", ServerName: "inner.example"},
			Warmup: load.Duration(2 * time.Second), AnswerTimeout: load.Duration(7 * time.Second), Phases: []load.Phase{
				{Duration: load.Duration(30 * time.Second), Rate: 1000, Connections: 1500},
				{Duration: load.Duration(time.Minute), Rate: 50e3, Connections: 2000, Ramp: true},
			},
			Payload: load.Payload{Template: "{{.Seq}}"}, Binary: true, Verify: true, Expect: load.ExpectEcho, Seed: 42, Loops: 1,
			Fail: []string{"p99<5ms", "errors<0.1%", "rate>1000"}, AbortOnFail: true,
		},
		Procs: "2", PIDs: []int{1, 2, 3}, JSON: "r.json", HDR: "r.hdr", CSV: "r.csv", HTML: "r.html",
	}
}

// printed is what gannet load --print-scenario writes for these arguments.
func printed(args ...string) (string, error) {
	var out bytes.Buffer
	c := command()
	c.Writer = &out
	err := c.Run(context.Background(), append([]string{"gannet", "load", "--print-scenario"}, args...))
	return out.String(), err
}

// meant is the scenario that these arguments make.
func meant(t *testing.T, args ...string) *scenario {
	t.Helper()
	text, err := printed(args...)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	s := &scenario{}
	if err := yaml.UnmarshalWithOptions([]byte(text), s, yaml.Strict()); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return s
}

func scenarioFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scenario")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScenarioRoundTrip: the flags, the file that --print-scenario writes of them, and the file that it writes of that file say the same.
func TestScenarioRoundTrip(t *testing.T) {
	if got, want := meant(t, everyFlag...), everyScenario(); !reflect.DeepEqual(got, want) {
		t.Errorf("the flags mean\n%+v, want\n%+v", got, want)
	}
	text, err := printed(everyFlag...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := printed("--scenario-file", scenarioFile(t, text))
	if err != nil || again != text {
		t.Errorf("%v\n%s\nbecame\n%s", err, text, again)
	}
}

// TestScenarioFieldsAreFlags: a field that no flag sets, or that the file has not, would not be in everyScenario.
func TestScenarioFieldsAreFlags(t *testing.T) {
	elsewhere := map[string]bool{ // what does not go together with everyFlag; TestScenarioFlags has it
		"Writers": true, "Rate": true, "Depth": true, "Duration": true, "FindRate": true, "Agents": true, "DripRate": true, "Churn": true,
	}
	v := reflect.ValueOf(*everyScenario())
	for _, f := range reflect.VisibleFields(v.Type()) {
		if !f.Anonymous && v.FieldByIndex(f.Index).IsZero() != elsewhere[f.Name] {
			t.Errorf("%s: everyScenario has it, or has it not, though elsewhere says otherwise", f.Name)
		}
	}
}

func TestScenarioFlags(t *testing.T) {
	base := func(change func(*scenario)) *scenario {
		s := &scenario{}
		s.URL = "ws://localhost:8080"
		change(s)
		return s
	}
	for args, want := range map[string]*scenario{
		"":                               base(func(s *scenario) {}),
		"-c 5 -r 1k -d 3s":               base(func(s *scenario) { s.Connections, s.Rate, s.Duration = 5, 1000, load.Duration(3*time.Second) }),
		"--depth 4":                      base(func(s *scenario) { s.Depth = 4 }),
		"--find-rate p99<10ms --rate 5k": base(func(s *scenario) { s.FindRate, s.Rate = "p99<10ms", 5000 }),
		"--rate 10 --phase 5s:1000/s:ramp": base(func(s *scenario) {
			s.Rate, s.Phases = 10, []load.Phase{{Duration: load.Duration(5 * time.Second), Rate: 1000, Ramp: true}}
		}),
		"--scenario fanout --writers 2 -c 9": base(func(s *scenario) { s.Scenario, s.Writers, s.Connections = load.Fanout, 2, 9 }),
		"--scenario drip --drip-rate 100":    base(func(s *scenario) { s.Scenario, s.DripRate = load.Drip, 100 }),
		"--scenario churn --churn-after 9s":  base(func(s *scenario) { s.Scenario, s.Churn = load.Churn, load.Duration(9*time.Second) }),
		"--size 9 --kind zero":               base(func(s *scenario) { s.Payload = load.Payload{Size: 9, Kind: "zero"} }),
		"--message hi --text":                base(func(s *scenario) { s.Payload.Text = "hi" }),
		"--expect none --verify=false":       base(func(s *scenario) { s.Expect = load.ExpectNone }),
		"-c 5 --agents 2 --nats nats://b --token-file t --subject s --nats-creds c --nats-nkey n --nats-ca ca --nats-cert ce --nats-key k --nats-server-name sn": base(func(s *scenario) {
			s.Connections, s.Agents = 5, agents{2, "nats://b", "t", "s", "c", "n", "ca", "ce", "k", "sn"}
		}),
		"--procs auto": base(func(s *scenario) { s.Procs = "auto" }),
	} {
		if got := meant(t, append(strings.Fields(args), ":8080")...); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", args, got, want)
		}
	}
	if got := meant(t, "--insecure", "--cert", "both.pem", "example.com"); got.URL != "wss://example.com" || got.TLS.KeyFile != "both.pem" || !got.TLS.Insecure {
		t.Errorf("%+v", got)
	}
}

// TestScenarioFlagsWin: what a flag says replaces what the file says of the same thing.
func TestScenarioFlagsWin(t *testing.T) {
	file := scenarioFile(t, `
url: ws://example.com/one
connections: 10
phases:
  - {duration: 5s, rate: 100, ramp: true}
payload: {template: "{{.Seq}}"}
binary: true
headers:
  - {name: X-A, value: "1"}
fail: [p99<1s]
procs: 3
`)
	s := meant(t, "-f", file)
	if s.URL != "ws://example.com/one" || s.Connections != 10 || len(s.Phases) != 1 || !s.Phases[0].Ramp || !s.Binary || s.Procs != "3" || len(s.Headers) != 1 {
		t.Errorf("the file means %+v", s)
	}
	s = meant(t, "-f", file, "-c", "20", "--rate", "5", "--size", "64", "--text", "--header", "X-B: 2", "--fail", "errors<1", "--procs", "1", "ws://example.com/two")
	if s.URL != "ws://example.com/two" || s.Connections != 20 || s.Rate != 5 || s.Phases != nil || s.Payload != (load.Payload{Size: 64}) || s.Binary || s.Procs != "1" ||
		!reflect.DeepEqual(s.Headers, []load.HeaderField{{Name: "X-B", Value: "2"}}) || !reflect.DeepEqual(s.Fail, []string{"errors<1"}) {
		t.Errorf("with flags: %+v", s)
	}
	for flag, want := range map[string]load.Plan{
		"--depth 3 --rate 7":  {Depth: 3, Rate: 7},
		"--find-rate p99<1s":  {FindRate: "p99<1s"},
		"--phase 1s:5":        {Phases: []load.Phase{{Duration: load.Duration(time.Second), Rate: 5}}},
		"--duration 2s":       {Duration: load.Duration(2 * time.Second)},
		"--duration 2s -r 10": {Duration: load.Duration(2 * time.Second), Rate: 10},
	} {
		f := meant(t, append([]string{"-f", file}, strings.Fields(flag)...)...)
		if f.Rate != want.Rate || f.Depth != want.Depth || f.FindRate != want.FindRate || f.Duration != want.Duration || !reflect.DeepEqual(f.Phases, want.Phases) {
			t.Errorf("%s: %+v", flag, f.Plan)
		}
	}
}

// TestScenarioJSON: JSON says it as well, with tabs, too.
func TestScenarioJSON(t *testing.T) {
	file := scenarioFile(t, "{\n\t\"url\": \"ws://example.com/\",\n\t\"rate\": 1e3,\n\t\"duration\": \"1m30s\",\n\t\"procs\": \"auto\",\n\t\"payload\": {\"text\": \"\\u00e4\"},\n\t\"pids\": [7]\n}\n")
	s := meant(t, "-f", file)
	if s.Rate != 1000 || s.Duration != load.Duration(90*time.Second) || s.Procs != "auto" || s.Payload.Text != "ä" || !reflect.DeepEqual(s.PIDs, []int{7}) {
		t.Errorf("%+v", s)
	}
}

// TestScenarioFilesRefused: what is wrong is named, with its line.
func TestScenarioFilesRefused(t *testing.T) {
	for text, want := range map[string][]string{
		"url: ws://a/\nconections: 5\n":                         {"[2:1]", `"conections"`},
		"url: ws://a/\nphases:\n  - duration: 5s\n    rat: 5\n": {"[4:5]", `"rat"`},
		"url: ws://a/\npayload:\n  sizes: 5\n":                  {"[3:3]", `"sizes"`},
		"url: ws://a/\nconnections: many\n":                     {"[2:14]"},
		"url: ws://a/\nduration: 5\n":                           {"duration"},
		"url: ws://a/\nduration: soon\n":                        {"soon"},
		"url: [\n":                                              {"[1:"},
		"{\"url\": \"ws://a/\",\n \"rat\": 5}":                  {"[2:2]", `"rat"`},
		"url: ws://a/\nurl: ws://b/\n":                          {"[2:1]"},
		"url: ws://a/\n---\nurl: ws://b/\n":                     {"more than one document"},
		"":                                                      {"says nothing"},
	} {
		_, err := printed("-f", scenarioFile(t, text))
		if err == nil || exitStatus(err) != 2 {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want %s in it", text, err, part)
			}
		}
	}
	if _, err := printed("-f", "/nowhere/s.yaml"); err == nil || !strings.Contains(err.Error(), "--scenario-file: open /nowhere/s.yaml") {
		t.Error(err)
	}
}
