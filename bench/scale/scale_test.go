package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// ample is a machine that holds what the issue asks for.
var ample = limits{Descriptors: 20_000, PortsFrom: 32768, PortsTo: 60999, AvailableMiB: 20_000, FileMax: 2_000_000}

func TestFit(t *testing.T) {
	if c, lacks := ample.fit(100_000); c != (crowd{100_000, 6, 11}) || len(lacks) > 0 {
		t.Errorf("%+v, %+v", c, lacks)
	}
	if c, lacks := ample.fit(500); c != (crowd{500, 1, 1}) || len(lacks) > 0 {
		t.Errorf("%+v, %+v", c, lacks)
	}
	for what, k := range map[string]struct {
		change func(*limits)
		most   int
		todo   string
	}{
		"descriptors": {func(l *limits) { l.Descriptors = 1024 }, 32 * 616, "ulimit"},
		"none":        {func(l *limits) { l.Descriptors = 100 }, 0, "ulimit"},
		"ports":       {func(l *limits) { l.PortsTo = l.PortsFrom + 99 }, 200 * 35, "ip_local_port_range"},
		"memory":      {func(l *limits) { l.AvailableMiB = 700 }, 40_960, "larger machine"},
		"files":       {func(l *limits) { l.FileMax = 100_000 }, 40_000, "fs.file-max=300000"},
		"conntrack":   {func(l *limits) { l.Conntrack = 65_536 }, 64_536, "nf_conntrack_max=200000"},
	} {
		l := ample
		k.change(&l)
		c, lacks := l.fit(100_000)
		if c.Connections != k.most || len(lacks) != 1 || !strings.Contains(lacks[0].Why, k.todo) || lacks[0].Most != int64(k.most) {
			t.Errorf("%s: %+v, %+v", what, c, lacks)
		}
	}
}

// TestFitLeavesRoom: each process can hold its share, and what a hash gives to it beyond.
func TestFitLeavesRoom(t *testing.T) {
	for _, n := range []int{10, 19_000, 19_500, 100_000, 500_000} {
		c, _ := ample.fit(n)
		share := float64(c.Connections) / float64(c.Processes)
		if c.Connections > 0 && share+4*math.Sqrt(share)+otherDescriptors > float64(ample.Descriptors) {
			t.Errorf("%d: %+v", n, c)
		}
	}
}

func TestReadLimits(t *testing.T) {
	l, err := readLimits()
	if err != nil || l.Descriptors < 1 || l.PortsTo <= l.PortsFrom || l.AvailableMiB < 1 || l.FileMax < 0 {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := tcpBuffers(); err != nil {
		t.Error(err)
	}
}

// textbook is a run whose figures are known: n connections of 400 B, 1,000 a second, 10 us of CPU a message.
func textbook(n int64, base float64) outcome {
	var all outcome
	add := func(at float64, open, in int64) {
		all.Samples = append(all.Samples, sample{
			At: at, Open: open, Opened: max(open, 0), In: in, Out: 3 * in, Kernel: 5000 * open, Buffers: 4096,
			Server:    usage{RSS: int64(base) + 400*open + in/10, CPU: time.Duration(in) * 10 * time.Microsecond},
			Generator: usage{RSS: 9e6 + 1000*open},
		})
	}
	add(0, 0, 0)
	add(1, 0, 0)
	for i := range int64(10) {
		add(1+float64(i+1)*float64(n)/10_000, n*(i+1)/10, 0)
	}
	for i := range int64(5) {
		add(20+float64(n)/1000+float64(i), n, 100*(i+1))
	}
	add(1000, n/2, 600) // they leave
	all.Result.Rate, all.Result.RateAsked = 100, 101
	all.Result.Latency = distribution{500, 1, 2, 3, 4}
	all.Result.ConnectTime = distribution{n, 5, 6, 7, 8}
	return all
}

func TestLevel(t *testing.T) {
	tk := task{Crowd: crowd{10_000, 2, 1}}
	l, err := levelOf(tk, textbook(10_000, 1e6))
	if err != nil {
		t.Fatal(err)
	}
	if l.Open != 10_000 || l.ServerEach() != 400 || l.ServerEndEach() != 400.005 || l.KernelEach() != 5000 || l.Generator != 1000 ||
		math.Abs(l.ConnectRate-1000) > 1e-6 || math.Abs(l.CPUEach-10) > 1e-9 || l.Latency != (times{1, 2, 3, 4}) || l.ConnectTime != (times{5, 6, 7, 8}) {
		t.Errorf("%+v", l)
	}
	tk.Broadcast = true
	if l, err := levelOf(tk, textbook(1000, 1e6)); err != nil || math.Abs(l.CPUEach-10.0/3) > 1e-9 {
		t.Errorf("%v, %v", l.CPUEach, err)
	}
	for name, all := range map[string]outcome{"nobody": {Samples: make([]sample, 3)}, "no message": {Samples: textbook(1000, 1e6).Samples[:12]}} {
		if _, err := levelOf(tk, all); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// grown is a run of growth as a textbook has it.
func grown(t *testing.T) growth {
	t.Helper()
	g := growth{Machine: rig.Machine{Commit: "abc"}, Rate: 10_000, Size: 128}
	for _, n := range []int64{1000, 10_000, 100_000} {
		c, _ := ample.fit(int(n))
		echo, err := levelOf(task{Crowd: c}, textbook(n, 5e6*float64(c.Processes)))
		if err != nil {
			t.Fatal(err)
		}
		broadcast, err := levelOf(task{Crowd: c, Broadcast: true}, textbook(n, 5e6*float64(c.Processes)))
		if err != nil {
			t.Fatal(err)
		}
		g.Steps = append(g.Steps, step{echo, broadcast})
	}
	return g
}

// TestMillion checks the arithmetic by hand: 400 B of the server and 5,000 of the kernel each, 10 us an echo, 1,000 connects a second.
func TestMillion(t *testing.T) {
	x, err := grown(t).Million()
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > want/1000 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	near("server", x.Server.AtMillion, 400e6)
	near("server each", x.Server.Each, 400)
	near("kernel", x.Kernel.AtMillion, 5000e6)
	near("cores", x.Cores, 1) // 100,000 echoes a second
	near("connecting", x.ConnectSeconds, 1000)
	if x.Processes != 53 || x.Addresses != 36 {
		t.Errorf("%d processes, %d addresses", x.Processes, x.Addresses)
	}
	if _, err := (growth{Steps: make([]step, 1)}).Million(); err != errTooFew {
		t.Error(err)
	}
	if _, err := (growth{Steps: make([]step, 2)}).Million(); err != errTooFew {
		t.Error(err)
	}
}

// TestPageIsTheResults: docs/scale.md has between its marks what the committed results say, and nothing else.
func TestPageIsTheResults(t *testing.T) {
	g, err := readGrowth("growth.json")
	if err != nil {
		t.Fatal(err)
	}
	part, err := g.figuresPart()
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := putFigures(string(have), part)
	if err != nil {
		t.Fatal(err)
	}
	if want != string(have) {
		t.Errorf("docs/scale.md is not what growth.json says: GOWORK=off go -C bench/scale run . -redraw. It is to have\n%s", part)
	}
}

func TestWritePage(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "scale.md")
	if err := os.WriteFile(page, []byte("above\n"+pageBegin+"old\n"+pageEnd+"below\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := grown(t)
	g.Lacks = []string{"too few ports"}
	results := filepath.Join(dir, "growth.json")
	if err := g.write(results); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-redraw", "-docs", dir, "-results", results}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"above\n" + pageBegin, pageEnd + "below\n", "commit abc", "- too few ports",
		"| 100,000 | 6 | 400 B | 400 B | 5,000 B | 1,000 B | 1,000 | 6.00 ms | 10.0 us | 1.00 ms | 2.00 ms | 3.00 ms |",
		"| 1,000 | 1 | 400 B | 400 B | 5,000 B | - |",
		"| 100,000 | 3.33 us | 1.00 ms | 2.00 ms | 3.00 ms | 4.00 ms |",
		"(40.0 MB - 4.00 MB) / (100,000 - 10,000) = 400 B each; 40.0 MB + 400 B x 900,000 | 400 MB |",
		"1,000,000 / 10 s x 10.0 us | 1.00 cores |",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(text), "old") || strings.Contains(string(text), "<no value>") {
		t.Errorf("%s", text)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "scale.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if said := labelsOf(t, svg); !strings.Contains(said, "memory a connection") || !strings.Contains(said, "100,000") || !strings.Contains(said, "the last one") {
		t.Errorf("the chart says %s", said)
	}
	if _, err := putFigures("no marks", ""); err == nil {
		t.Error("a page without marks was written")
	}
}

// labelsOf is all text of an SVG, which has to be well-formed.
func labelsOf(t *testing.T, svg []byte) string {
	t.Helper()
	var all strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return all.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			all.Write(text)
		}
	}
}

func TestReport(t *testing.T) {
	l, err := levelOf(task{Crowd: crowd{10_000, 2, 1}}, textbook(10_000, 1e6))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	report(&out, 10_000, l, nil)
	if said := out.String(); strings.Contains(said, "not reached") || !strings.Contains(said, "p50 1.00, p99 2.00, p99.9 3.00") || !strings.Contains(said, "1,000 B of RSS for each after the first 1,000: within the bar of 1,536 B") {
		t.Error(said)
	}
	out.Reset()
	l.Troubles, l.Generator = []string{"3 connections were lost"}, 2000
	report(&out, 20_000, l, []shortfall{{1000, "too few ports"}})
	for _, want := range []string{"10,000 of 20,000 connections", "at most 1,000 connections: too few ports", "3 connections were lost", "above the bar"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"1,234,567": grouped(1234567), "999": grouped(999), "-1,000": grouped(-1000), "0": significant(0), "0.0123": significant(0.01234), "12.3": significant(12.34),
		"1,234": significant(1234), "NaN": significant(math.NaN()),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-growth", "-steps", "500,2000"}, io.Discard)
	if err != nil || len(o.steps) != 2 || o.duration != 20*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"stray"}, {"-steps", "a"}, {"-steps", "200,100"}, {"-connections", "1"}, {"-duration", "1ms"}, {"-size", "1"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

// TestReadResult: figures that a generator has left count, however it ended; without them its words are the error.
func TestReadResult(t *testing.T) {
	failed := errors.New("exit status 1")
	for _, k := range []struct {
		name, json string
		how        error
		warning    string
		err        string
	}{
		{"well", `{"rate":5}`, nil, "", ""},
		{"failed with figures", `{"rate":5}`, failed, "exit status 1: the reason", ""},
		{"failed without", "", failed, "", "much text\nthe reason"},
		{"no figures", "", nil, "", "no such file"},
		{"no JSON", "{", nil, "", "unexpected end"},
	} {
		file := filepath.Join(t.TempDir(), "load.json")
		if k.json != "" {
			if err := os.WriteFile(file, []byte(k.json), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var r result
		err := r.read(t.Context(), file, k.how, "much text\nthe reason\n")
		if (err != nil) != (k.err != "") || err != nil && !strings.Contains(err.Error(), k.err) {
			t.Errorf("%s: %v", k.name, err)
		}
		if err == nil && (r.Rate != 5 || !strings.Contains(strings.Join(r.Warnings, ""), k.warning)) {
			t.Errorf("%s: %+v", k.name, r)
		}
	}
}

// TestFewAreTooFew: what little a few connections add to a program is no figure.
func TestFewAreTooFew(t *testing.T) {
	if l, err := levelOf(task{Crowd: crowd{1000, 1, 1}}, textbook(1000, 1e6)); err != nil || l.Generator != 0 || !strings.Contains(l.generatorVerdict(), "10,000") {
		t.Errorf("%+v, %v", l, err)
	}
}

// TestSmall is make scale-growth and make scale with few connections: what they do works, whatever the figures are.
func TestSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds gannet and runs it for some seconds")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "scale.md"), []byte(pageBegin+pageEnd), 0o600); err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(dir, "growth.json")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var said strings.Builder
	if err := run(ctx, []string{"-growth", "-steps", "50,200", "-duration", "2s", "-docs", dir, "-results", results}, io.Discard, &said); err != nil {
		t.Fatal(err, said.String())
	}
	g, err := readGrowth(results)
	if err != nil || len(g.Steps) != 2 {
		t.Fatalf("%+v, %v", g, err)
	}
	for i, n := range []int64{50, 200} {
		for _, l := range []level{g.Steps[i].Echo, g.Steps[i].Broadcast} {
			if l.Open != n || l.CPUEach <= 0 || l.Latency.P50 <= 0 || l.ConnectTime.P50 <= 0 || l.ConnectRate <= 0 || l.Rate <= 0 {
				text, _ := json.Marshal(l)
				t.Errorf("%d: %s", n, text)
			}
		}
	}
	var out strings.Builder
	if err := run(ctx, []string{"-connections", "200", "-duration", "2s"}, &out, &said); err != nil {
		t.Fatal(err, said.String())
	}
	if !strings.Contains(out.String(), "200 open of 200") {
		t.Error(out.String())
	}
}
