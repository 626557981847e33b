package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/deflate"
)

// invented is a run in which every corpus behaves as smoothly as a textbook's.
func invented() report {
	var r report
	for _, c := range corpus.All() {
		made := curve{Corpus: c, Rounds: 7}
		for i, p := range grid() {
			made.Points = append(made.Points, point{Policy: p, Bytes: c.Zlib6.Takeover * (1.2 - 0.005*float64(i)), Micros: float64(1 + i)})
		}
		r.Curves = append(r.Curves, made)
	}
	return r
}

func TestGridHasTheDefaultOnce(t *testing.T) {
	n := 0
	for _, p := range grid() {
		if _, err := deflate.New(p); err != nil {
			t.Errorf("level %d, %s: %v", p.Level, contextName(p), err)
		}
		if isDefault(p) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d times", n)
	}
	x, err := deflate.New(deflate.Policy{})
	if p := x.Policy(); err != nil || p.Level != deflate.DefaultLevel || p.HistoryBytes != deflate.DefaultHistoryBytes || p.Takeover != deflate.SharedHistory {
		t.Errorf("the default is %+v", p)
	}
}

func TestMeasure(t *testing.T) {
	c := corpus.Named("json 300 B")
	m, err := measure(c, grid()[:3], 0)
	if err != nil {
		t.Fatal(err)
	}
	if m.Rounds != minRounds || len(m.Points) != 3 {
		t.Fatalf("%d rounds of %d", m.Rounds, len(m.Points))
	}
	for i, p := range m.Points {
		if p.Micros <= 0 || p.Micros > 1e6 || p.Bytes < c.Zlib6.Takeover/2 || p.Bytes > float64(c.PlainSize()) {
			t.Errorf("%s: %+v", contextName(p.Policy), p)
		}
		if i > 0 && p.Bytes >= m.Points[0].Bytes {
			t.Errorf("%s: a history is worth nothing: %v bytes, %v without", contextName(p.Policy), p.Bytes, m.Points[0].Bytes)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "docs")
	if err := invented().write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "deflate-curve.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| json 1 KiB | 1024 | 236 | 278 | 1.18 | 5.00 | 350 | 283 | 0.81 | level 9, none: 41.0 us |",
		"**Pages of 4 KiB** become 1.18 times",
		"| 1 | 283 / 1.00 | 282 / 2.00 |",
		"Within 10 % of zlib's level 6: .",
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the page lacks %q", line)
		}
	}
	svg, err := os.ReadFile(filepath.Join(dir, "deflate-curve.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if labels := labelsOf(t, svg); !strings.Contains(labels, "json 1 KiB (zlib 6: 236 of 1024 bytes)") || !strings.Contains(labels, "the default: level 1, 4 KiB") {
		t.Errorf("the chart says %s", labels)
	}
	if len(svg) > 100<<10 {
		t.Errorf("the chart is %d bytes", len(svg))
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

// A grid without what the page speaks of is an error and no page with holes.
func TestPageNeedsItsPoints(t *testing.T) {
	r := invented()
	r.Curves[0].Points = r.Curves[0].Points[:2]
	if err := r.write(t.TempDir()); err == nil {
		t.Error("written")
	}
}

func TestTicks(t *testing.T) {
	for want, got := range map[string][]plot.Tick{
		"0.5 0.7 1 1.5 2 3 5 7 10 15":   logTicks(0.4, 19),
		"150 200 300 500 700 1000 1500": logTicks(150, 1900),
		"0.2 0.3 0.5 0.7":               logTicks(0.2, 0.9),
		"0.96 0.98 1.00 1.02":           tenthTicks(0.95, 1.03),
		"0.80 1.00 1.20 1.40 1.60 1.80": tenthTicks(0.75, 1.9),
		"1.00 1.50 2.00 2.50 3.00 3.50": tenthTicks(0.6, 3.9),
	} {
		var labels []string
		for _, tick := range got {
			labels = append(labels, tick.Label)
		}
		if s := strings.Join(labels, " "); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-corpora", "json 1 KiB,html 4 KiB", "-out", "x"}, io.Discard)
	if err != nil || len(o.corpora) != 2 || o.outDir != "x" {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"stray"}, {"-corpora", "xml"}, {"-time", "long"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
