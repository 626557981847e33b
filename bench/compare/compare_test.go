package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

const wsblastLine = "msgs/s 215802 MB/s 27.6 srv_cpu_us/msg 4.325 srv_cpu 93% cli_cpu 95% p50_us 425.0 p99_us 983.0 p999_us 1703.9 rss_idle_kb 2044 rss_kb 2048"

func TestParseSample(t *testing.T) {
	got, err := parseSample(wsblastLine)
	want := sample{CPUMicros: 4.325, MsgsPerSec: 215802, ServerCPU: 93, LoadCPU: 95, P50Micros: 425, P99Micros: 983, P999Micros: 1703.9, IdleRSSKiB: 2044, FinalRSSKiB: 2048}
	if err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
	for _, line := range []string{
		"",
		"connect: refused",
		strings.TrimSuffix(wsblastLine, "rss_kb 2048"),
		strings.Replace(wsblastLine, "4.325", "0.000", 1),
		strings.Replace(wsblastLine, "4.325", "much", 1),
	} {
		if _, err := parseSample(line); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

// scripted makes a bencher whose servers cost what the script says, round by round; the floor drifts as given.
func scripted(rounds, retries int, cost map[string]float64, floor func(sample int) float64) *bencher {
	taken := 0
	return &bencher{
		options:  options{rounds: rounds, retries: retries, plan: plan{servers: knownServers()}},
		progress: io.Discard,
		sample: func(_ context.Context, _ echoCell, s server) (sample, error) {
			if s.Role == roleFloor {
				taken++
				return sample{CPUMicros: floor(taken), ServerCPU: 70, LoadCPU: 60}, nil
			}
			return sample{CPUMicros: cost[s.Name]}, nil
		},
	}
}

func steady(int) float64 { return 4 }

func TestOutcomes(t *testing.T) {
	cell := echoCell{Name: "cell", Peers: bothPeers, FloorBar: 1.05, PeerBar: 0.8}
	for name, c := range map[string]struct {
		rounds              int
		gannet, gws         float64
		floor               func(int) float64
		wantFloor, wantPeer outcome
		status              int
	}{
		"both met":            {9, 4.1, 6, steady, met, met, 0},
		"exactly at the bars": {9, 4.2, 5.25, steady, met, met, 0},
		"floor missed":        {9, 4.3, 6, steady, missed, met, exitMissed},
		"peer missed":         {9, 4.1, 5, steady, met, missed, exitMissed},
		"too few":             {8, 4.1, 6, steady, tooFew, tooFew, exitVoid},
		"void":                {9, 4.1, 6, func(n int) float64 { return 4 + float64(n%2) }, void, void, exitVoid},
	} {
		b := scripted(c.rounds, 0, map[string]float64{"gannet": c.gannet, "gws": c.gws, "gorilla": 7}, c.floor)
		result, err := b.measure(t.Context(), cell)
		if err != nil {
			t.Fatal(err)
		}
		r := &report{Echo: []echoResult{result}}
		r.judge()
		if len(r.Verdicts) != 2 || r.Verdicts[0].Outcome != c.wantFloor || r.Verdicts[1].Outcome != c.wantPeer {
			t.Errorf("%s: %+v", name, r.Verdicts)
		} else if r.Verdicts[1].Against != "best peer, gws" {
			t.Errorf("%s: the best peer is said to be %q", name, r.Verdicts[1].Against)
		}
		if got := r.status(); got != c.status {
			t.Errorf("%s: status %d, want %d", name, got, c.status)
		}
	}
}

// TestAddedServerIsJudgedByItsBar: a server of -add has a verdict in the cells that -bar names, and in no other.
func TestAddedServerIsJudgedByItsBar(t *testing.T) {
	o, err := parseOptions([]string{"-bar", "uws=echo-128:1.05,echo-16k:1", "-add", "uws=/bin/uws {port}", "-servers", "rawecho,gannet"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for cost, want := range map[float64]outcome{4: met, 3.9: missed} {
		b := scripted(9, 0, map[string]float64{"gannet": 4.2, "uws": cost}, steady)
		b.options.plan = o.plan
		for i, bar := range []float64{1.05, 0, 1} {
			result, err := b.measure(t.Context(), echoCells[i])
			if err != nil {
				t.Fatal(err)
			}
			verdicts := judgeEcho(result)
			last := verdicts[len(verdicts)-1]
			switch {
			case bar == 0 && last.Against == "uws":
				t.Errorf("%s has no bar for it, and a verdict: %+v", echoCells[i].Name, last)
			case bar == 1.05 && (last.Against != "uws" || last.Bar != bar || last.Outcome != want):
				t.Errorf("uws at %v: %+v, want %s", cost, last, want)
			case bar == 1 && (last.Against != "uws" || last.Outcome != missed):
				t.Errorf("uws at %v: %+v, want %s", cost, last, missed)
			}
		}
	}
}

func TestWithoutGannetNothingIsJudged(t *testing.T) {
	b := scripted(9, 0, map[string]float64{"gws": 6, "gorilla": 7}, steady)
	b.options.plan.servers = []server{b.options.plan.servers[0], b.options.plan.servers[2]}
	result, err := b.measure(t.Context(), echoCells[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range judgeEcho(result) {
		if v.Outcome != notMeasured {
			t.Errorf("%+v", v)
		}
	}
}

// TestMovedFloorStartsAgain: the floor jumps once, in its second sample, and is steady from then on.
func TestMovedFloorStartsAgain(t *testing.T) {
	jump := func(n int) float64 {
		if n == 1 {
			return 4
		}
		return 5
	}
	result, err := scripted(9, 3, map[string]float64{"gannet": 5, "gws": 8, "gorilla": 9}, jump).measure(t.Context(), echoCells[0])
	if err != nil {
		t.Fatal(err)
	}
	if result.Void || result.Abandoned != 1 {
		t.Fatalf("void %v, %d attempts abandoned; want a sound second attempt", result.Void, result.Abandoned)
	}
	for _, s := range result.Servers {
		if len(s.Samples) != 9 {
			t.Errorf("%s has %d samples", s.Name, len(s.Samples))
		}
	}
}

func TestFailedSampleFailsTheCell(t *testing.T) {
	b := scripted(9, 0, nil, steady)
	broken := errors.New("broken")
	b.sample = func(context.Context, echoCell, server) (sample, error) { return sample{}, broken }
	if _, err := b.measure(t.Context(), echoCells[0]); !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}

func TestIdleVerdict(t *testing.T) {
	for bytesPerConn, want := range map[float64]outcome{299: met, 300: met, 301: missed} {
		v := judgeIdle(idleResult{Cell: idleCells[0], Servers: []idleServerResult{
			{Name: "gws", Role: rolePeer, Runs: []idleRun{{BytesPerConn: 9000}}},
			{Name: "gannet", Role: roleSubject, Runs: []idleRun{{BytesPerConn: bytesPerConn}}},
		}})
		if v.Outcome != want || v.Measured.Median != bytesPerConn {
			t.Errorf("%v bytes: %+v", bytesPerConn, v)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-cells", "deflate,idle", "-servers", "rawecho,gannet", "-add", "old=/bin/old serve --addr 127.0.0.1:{port}"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.plan.echo) != 1 || len(o.plan.idle) != 1 || len(o.plan.servers) != 3 {
		t.Fatalf("plan %+v", o.plan)
	}
	old := o.plan.servers[2]
	if got := strings.Join(old.argv(new(toolset), 4711, settings{mode: "ws"}), " "); got != "/bin/old serve --addr 127.0.0.1:4711" || old.Role != roleExtra {
		t.Errorf("%q, %s", got, old.Role)
	}
	for _, line := range []string{
		"-cells none", "-cells idle,idle", "-servers gannet", "-servers rawecho,nobody", "-rounds 0", "-time 1ms", "-retries -1",
		"-bar old=echo-128:1", "-add old=/bin/old{port} -bar old", "-add old=/bin/old{port} -bar old=idle:1", "-add old=/bin/old{port} -bar old=echo-128:0",
		"-add old=/bin/old{port} -bar old=echo-128:NaN", "-add old=/bin/old{port} -bar old=echo-128:1,", "-conns -1", "-servers all,gws", "-add node=/bin/node{port}", "-server-core 1", "-add old", "-add old=/bin/old", "-add gws=/bin/gws{port}", "stray",
	} {
		if _, err := parseOptions(strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}

// TestAddedServerSpeaksOneOfThem: whoever is started with the certificate runs in the cells over TLS, and nowhere else.
func TestAddedServerSpeaksOneOfThem(t *testing.T) {
	o, err := parseOptions([]string{"-add", "plain=/bin/plain {port}", "-add", "tls=/bin/tls {port} {cert} --key={key}"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range echoCells {
		var names []string
		for _, s := range o.plan.servers {
			if s.Role == roleExtra && s.runsIn(c) {
				names = append(names, s.Name)
			}
		}
		want := "plain"
		switch {
		case strings.HasPrefix(c.Name, "tls"):
			want = "tls"
		case c.Does != echoes:
			want = "" // by its command it echoes
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s run, want %s", c.Name, got, want)
		}
	}
	secured := o.plan.servers[len(o.plan.servers)-1]
	if got := strings.Join(secured.argv(&toolset{cert: "C", key: "K"}, 4711, settings{mode: tlsMode}), " "); got != "/bin/tls 4711 C --key=K" {
		t.Error(got)
	}
	for cells, want := range map[string]bool{"": false, "echo-128,idle": false, "tls-1k": true, "idle-tls": true} {
		p, err := newPlan(cells, "", nil)
		if err != nil || p.overTLS() != want {
			t.Errorf("cells %q need a certificate: %v, %v; want %v", cells, p.overTLS(), err, want)
		}
	}
}

func TestDefaultsAreTheFourEchoesAndIdle(t *testing.T) {
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range o.plan.echo {
		names = append(names, c.Name)
	}
	for _, c := range o.plan.idle {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "echo-128 echo-128x16 echo-16k echo-1m idle idle-used" || o.rounds != minRounds {
		t.Errorf("%d rounds of %s", o.rounds, got)
	}
}

func TestServerCommands(t *testing.T) {
	tools := &toolset{rawecho: "R", gannet: "G", peers: "P", cert: "C", key: "K"}
	for with, want := range map[settings]string{
		{mode: "ws", window: 0}: "R 9000|G serve --addr 127.0.0.1:9000 --loops 1 --log error|" +
			"P -peer gws -addr 127.0.0.1:9000 -deflate none|P -peer gorilla -addr 127.0.0.1:9000 -deflate none",
		{mode: "tls", window: 0}: "R 9000|G serve --addr 127.0.0.1:9000 --loops 1 --log error --cert C --key K|" +
			"P -peer gws -addr 127.0.0.1:9000 -cert C -key K -deflate none|P -peer gorilla -addr 127.0.0.1:9000 -cert C -key K -deflate none",
		{mode: "deflate", window: 12}: "R 9000|G serve --addr 127.0.0.1:9000 --loops 1 --log error --deflate shared --deflate-window 12|" +
			"P -peer gws -addr 127.0.0.1:9000 -deflate takeover -window 12|P -peer gorilla -addr 127.0.0.1:9000 -deflate takeover -window 12",
		{mode: "deflate-nct", window: 15}: "R 9000|G serve --addr 127.0.0.1:9000 --loops 1 --log error --deflate shared --deflate-window 15|" +
			"P -peer gws -addr 127.0.0.1:9000 -deflate nct -window 15|P -peer gorilla -addr 127.0.0.1:9000 -deflate nct -window 15",
	} {
		var lines []string
		for _, s := range knownServers() {
			lines = append(lines, strings.Join(s.argv(tools, 9000, with), " "))
		}
		if got := strings.Join(lines, "|"); got != want {
			t.Errorf("%v: %s", with, got)
		}
	}
}

// TestLoadCommands: goload's cells are driven by it, and the floor echoes in them.
func TestLoadCommands(t *testing.T) {
	b := &bencher{options: options{loadCore: 1, duration: 2 * time.Second}, tools: &toolset{wsblast: "W", goload: "G"}}
	floor, gannet := knownServers()[0], knownServers()[1]
	for _, c := range []struct {
		cell string
		of   server
		want string
	}{
		{"echo-1m", floor, "W 127.0.0.1 9000 20 1048576 1 2 raw 77"},
		{"elsewhere-128", gannet, "W 127.0.0.1 9000 100 128 1 2 ws 77"},
		{"broadcast-1k", gannet, "G broadcast 127.0.0.1:9000 1000 128 2 77"},
		{"connect", gannet, "G connect 127.0.0.1:9000 64 0 2 77"},
		{"connect", floor, "W 127.0.0.1 9000 100 128 1 2 raw 77"},
	} {
		if got := strings.Join(b.loadArgv(cellNamed(t, c.cell), c.of, 9000, 77), " "); got != "taskset -c 1 "+c.want {
			t.Errorf("%s, %s: %s", c.cell, c.of.Name, got)
		}
	}
}

// TestFurtherServers: what -servers all starts, in a cell that wants more than an echo.
func TestFurtherServers(t *testing.T) {
	tools := &toolset{gannet: "G", elsewhere: "E", peers: "P", cert: "C", key: "K", foreign: map[string][]string{"node": {"node", "N"}, "tungstenite": {"T"}}}
	started := func(cell string) (lines []string) {
		p, err := newPlan(cell, "all", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range p.servers[1:] {
			if s.runsIn(p.echo[0]) {
				lines = append(lines, strings.Join(s.argv(tools, 9000, p.echo[0].settings()), " "))
			}
		}
		return lines
	}
	all := []string{"gws", "gorilla", "coder", "nbio", "gobwas", "fasthttp", "gnet"}
	want := []string{"G serve --addr 127.0.0.1:9000 --loops 1 --log error --mode broadcast"}
	for _, name := range all {
		want = append(want, "P -peer "+name+" -addr 127.0.0.1:9000 -mode broadcast -deflate none")
	}
	want = append(want, "node N --addr 127.0.0.1:9000 --mode broadcast", "T --addr 127.0.0.1:9000 --mode broadcast")
	if got := started("broadcast-10k"); !slices.Equal(got, want) {
		t.Errorf("broadcast: %q", got)
	}
	if got := started("elsewhere-128"); len(got) != 9 || got[0] != "E 127.0.0.1:9000" || got[8] != "T --addr 127.0.0.1:9000 --mode elsewhere" {
		t.Errorf("elsewhere: %q", got)
	}
	if got := started("tls-1k"); len(got) != 8 || got[7] != "T --addr 127.0.0.1:9000 --cert C --key K" {
		t.Errorf("TLS: %q", got)
	}
	if got := started("deflate-nct"); len(got) != 3 {
		t.Errorf("deflate: %q", got)
	}
}

// TestLeftOutSayWhy: who can not do a cell is named with a reason, and no server is asked for it.
func TestLeftOutSayWhy(t *testing.T) {
	p, err := newPlan("elsewhere-128,tls-1k", "rawecho,gannet,gobwas,node,tungstenite", []server{{Name: "old", Role: roleExtra}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.servers {
		if p.servers[i].Name == "tungstenite" {
			p.servers[i].missing = "can not be built here"
		}
	}
	b := scripted(9, 0, map[string]float64{"gannet": 4, "gobwas": 5}, steady)
	b.options.plan = p
	for _, c := range []struct{ cell, want string }{
		{"elsewhere-128", "node, which has no other thread to send from.|tungstenite, which can not be built here.|old, which echoes, by its command."},
		{"tls-1k", "gobwas, which is read by a poller, where crypto/tls can not be used as it is.|tungstenite, which can not be built here.|old, which has neither {cert} nor {key} in its command."},
	} {
		result, err := b.measure(t.Context(), cellNamed(t, c.cell))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		result.markdown(&out)
		for _, line := range strings.Split(c.want, "|") {
			if !strings.Contains(out.String(), "- Left out: "+line) {
				t.Errorf("%s: the report lacks %q:\n%s", c.cell, line, out.String())
			}
		}
	}
}

// TestNoRatioToAFloorThatDidSomethingElse: in goload's cells the floor tells whether the clock moved, and nothing else.
func TestNoRatioToAFloorThatDidSomethingElse(t *testing.T) {
	b := scripted(9, 0, map[string]float64{"gannet": 2, "gws": 4, "gorilla": 5}, steady)
	result, err := b.measure(t.Context(), cellNamed(t, "broadcast-1k"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	result.markdown(&out)
	for _, line := range []string{"CPU, us per message and receiver", "| rawecho | 4.00 [4.00-4.00] |  |  |", "| gws | 4.00 [4.00-4.00] |  | 0.50 [0.50-0.50] |"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the report lacks %q:\n%s", line, out.String())
		}
	}
}

func TestReportTables(t *testing.T) {
	b := scripted(9, 0, map[string]float64{"gannet": 4.1, "gws": 6, "gorilla": 7}, steady)
	echo, err := b.measure(t.Context(), echoCells[0])
	if err != nil {
		t.Fatal(err)
	}
	r := &report{Rounds: 9, Seconds: 2, Echo: []echoResult{echo}, dir: t.TempDir(), Idle: []idleResult{{Cell: idleCells[0], Servers: []idleServerResult{
		{Name: "gannet", Role: roleSubject, Runs: []idleRun{{BytesPerConn: 260}, {BytesPerConn: 250}, {BytesPerConn: 270}}},
	}}}}
	r.judge()
	var out bytes.Buffer
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"**Neither core was busy with this (70 % at most)",
		"| gannet | 4.10 [4.10-4.10] | 1.02 [1.02-1.02] |  |",
		"| gws | 6.00 [6.00-6.00] | 1.50 [1.50-1.50] | 0.68 [0.68-0.68] |",
		"| gannet | 260 [250-270] |",
		"| echo-128 | rawecho | 1.05 x | 1.02 [1.02-1.02] | met |",
		"| echo-128 | best peer, gws | 0.80 x | 0.68 [0.68-0.68] | met |",
		"| idle | bytes of RSS per connection | 300 B | 260 B | met |",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the report lacks %q:\n%s", line, out.String())
		}
	}
	for _, name := range []string{"compare.md", "compare.json"} {
		if info, err := os.Stat(r.dir + "/" + name); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecords: what -append leaves has each server of each cell, the losers and those left out too, and no path of this machine.
func TestRecords(t *testing.T) {
	p, err := newPlan("echo-128,connect", "rawecho,gannet,gws,gorilla,node", nil)
	if err != nil {
		t.Fatal(err)
	}
	b := scripted(9, 0, map[string]float64{"gannet": 4, "gws": 5, "gorilla": 2}, steady)
	p.servers[4].missing = "can not be built here"
	b.options.plan = p
	r := &report{Idle: []idleResult{{Cell: idleCells[0], LeftOut: []leftOut{{"node", "is away"}},
		Servers: []idleServerResult{{Name: "gannet", Role: roleSubject, Runs: []idleRun{{BytesPerConn: 260}}}}}}}
	r.Machine.Command = "go run ./bench/compare -add 'old=/home/me/old {port}'"
	for _, c := range p.echo {
		result, err := b.measure(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		r.Echo = append(r.Echo, result)
	}
	var got []string
	for _, of := range r.records() {
		if of.Machine.Command != "go run ./bench/compare -add 'old=old {port}'" {
			t.Errorf("command %q", of.Machine.Command)
		}
		line := of.Cell + " " + of.Server + " " + of.LeftOut
		for _, s := range []*rig.Spread{of.CPU, of.ToFloor, of.GannetToIt, of.BytesPerConn} {
			if s == nil {
				line += " -"
			} else {
				line += fmt.Sprintf(" %g", s.Median)
			}
		}
		got = append(got, line)
	}
	want := []string{
		"echo-128 rawecho  4 1 1 -", "echo-128 gannet  4 1 - -", "echo-128 gws  5 1.25 0.8 -", "echo-128 gorilla  2 0.5 2 -", "echo-128 node can not be built here - - - -",
		"connect gannet  4 - - -", "connect gws  5 - 0.8 -", "connect gorilla  2 - 2 -", "connect node can not be built here - - - -",
		"idle gannet  - - - 260", "idle node is away - - - -",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
