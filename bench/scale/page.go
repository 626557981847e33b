package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed page.md.tmpl
var pageText string

var page = template.Must(template.New("page.md").Funcs(template.FuncMap{
	"grouped": func(n any) string {
		switch n := n.(type) {
		case float64:
			return grouped(n)
		case int64:
			return grouped(float64(n))
		}
		return fmt.Sprint(n)
	},
	"digits": significant,
	"slope": func(bytes float64) string {
		if bytes == 0 {
			return "-"
		}
		return grouped(bytes) + " B"
	},
	"megabytes":          func(bytes float64) string { return significant(bytes/1e6) + " MB" },
	"rest":               func(have float64) float64 { return million - have },
	"million":            growth.Million,
	"echoSeconds":        func() int { return echoSeconds },
	"processDescriptors": func() float64 { return processDescriptors },
}).Parse(pageText))

// Between these marks docs/scale.md is what a run has found; the rest of it is written by people.
const (
	pageBegin = "<!-- make scale-growth writes from here -->\n"
	pageEnd   = "<!-- to here -->\n"
)

// figuresPart is the part of the page between the marks.
func (g growth) figuresPart() (string, error) {
	var text bytes.Buffer
	if err := page.Execute(&text, g); err != nil {
		return "", err
	}
	return "\n" + strings.TrimSpace(text.String()) + "\n\n", nil
}

// putFigures replaces what stands between the marks.
func putFigures(text, part string) (string, error) {
	before, rest, begun := strings.Cut(text, pageBegin)
	_, after, ended := strings.Cut(rest, pageEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the page lacks the marks %q and %q", pageBegin, pageEnd)
	}
	return before + pageBegin + part + pageEnd + after, nil
}

// writePage puts the figures into docs/scale.md and draws docs/scale.svg.
func (g growth) writePage(docs string) error {
	file := filepath.Join(docs, "scale.md")
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	part, err := g.figuresPart()
	if err != nil {
		return err
	}
	text, err := putFigures(string(old), part)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if len(g.Steps) > 0 {
		svg, err := g.chart()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(docs, "scale.svg"), svg, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
