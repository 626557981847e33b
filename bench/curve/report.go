package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/deflate"
)

// report is all that a run found out.
type report struct {
	Machine rig.Machine
	Budget  time.Duration
	Curves  []curve
}

//go:embed curve.md.tmpl
var pageText string

var page = template.Must(template.New("curve.md").Funcs(template.FuncMap{"context": contextName, "micros": micros}).Parse(pageText))

// write leaves the chart and the page in dir.
func (r report) write(dir string) error {
	svg, err := chart(r.Curves)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := page.Execute(&text, r); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "deflate-curve.svg"), svg, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "deflate-curve.md"), text.Bytes(), 0o644)
}

// Default is the point of deflate.Policy{}.
func (c curve) Default() (point, error) { return c.mustFind(isDefault) }

// Alone is the default without takeover.
func (c curve) Alone() (point, error) { return c.At(deflate.DefaultLevel, 0) }

// At is the point of a level and a history in bytes; 0 for none.
func (c curve) At(level, history int) (point, error) {
	return c.mustFind(func(p deflate.Policy) bool {
		if history == 0 {
			return p.Level == level && p.Takeover == deflate.NoTakeover
		}
		return p.Level == level && p.Takeover == deflate.SharedHistory && p.HistoryBytes == history
	})
}

// Own is the point of a level with a compressor for each connection.
func (c curve) Own(level int) (point, error) {
	return c.mustFind(func(p deflate.Policy) bool { return p.Level == level && p.Takeover == deflate.OwnCompressor })
}

func (c curve) mustFind(is func(deflate.Policy) bool) (point, error) {
	p, ok := c.find(is)
	if !ok {
		return p, fmt.Errorf("%s: the grid lacks a setting that the page speaks of", c.Corpus.Name)
	}
	return p, nil
}

// Ratio is a point's size in those of zlib's level 6, both with takeover.
func (c curve) Ratio(p point) string { return fmt.Sprintf("%.2f", c.ratio(p)) }

// RatioAlone is a point's size in those of zlib's level 6, both without takeover.
func (c curve) RatioAlone(p point) string { return fmt.Sprintf("%.2f", p.Bytes/c.Corpus.Zlib6.Alone) }

// Matching is the cheapest point that is at most as long as zlib's level 6, in words; a longer history has to be
// cheaper by more than noise.
func (c curve) Matching() string {
	best, found := point{}, false
	for _, p := range c.Points {
		if c.ratio(p) < 1.005 && (!found || p.Micros < 0.97*best.Micros) {
			best, found = p, true
		}
	}
	if !found {
		return "none"
	}
	return fmt.Sprintf("level %d, %s: %s us", best.Policy.Level, strings.Replace(contextName(best.Policy), "own", "own compressor", 1), micros(best))
}

// Named is the curve of a corpus, if it was measured.
func (r report) Named(name string) *curve {
	for i, c := range r.Curves {
		if c.Corpus.Name == name {
			return &r.Curves[i]
		}
	}
	return nil
}

// WithinTenth names the corpora of which the default makes at most a tenth more than zlib's level 6.
func (r report) WithinTenth() (string, error) {
	var names []string
	for _, c := range r.Curves {
		d, err := c.Default()
		if err != nil {
			return "", err
		}
		if c.ratio(d) <= 1.1 {
			names = append(names, c.Corpus.Name)
		}
	}
	return strings.Join(names, ", "), nil
}

// Rows are the table's: the points level by level.
func (c curve) Rows() (rows [][]point) {
	for i, p := range c.Points {
		if i == 0 || p.Policy.Level != c.Points[i-1].Policy.Level {
			rows = append(rows, nil)
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], p)
	}
	return rows
}

// micros has three significant digits or so.
func micros(p point) string {
	switch {
	case p.Micros < 10:
		return fmt.Sprintf("%.2f", p.Micros)
	case p.Micros < 100:
		return fmt.Sprintf("%.1f", p.Micros)
	}
	return fmt.Sprintf("%.0f", p.Micros)
}
