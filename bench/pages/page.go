package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"github.com/gannet-ws/gannet/bench/internal/results"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"spread": spread, "ratio": optional, "whole": whole}).Parse(pageText))

// card is a cell on the page.
type card struct {
	Title     string
	Chart     template.HTML
	Records   []results.Record // of those that took part, in the order of a round
	LeftOut   []results.Record
	Memory    bool
	Void      bool
	FewRounds bool
	FloorMove string
	Rounds    int
}

func render(cells []results.Cell) ([]byte, error) {
	var cards []card
	for _, c := range cells {
		made, err := newCard(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c[0].Cell, err)
		}
		cards = append(cards, made)
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, map[string]any{"Cards": cards, "Runs": runsOf(cells)})
	return out.Bytes(), err
}

func newCard(c results.Cell) (card, error) {
	made := card{Title: c[0].Title, FloorMove: fmt.Sprintf("%.1f %%", 100*c[0].FloorMove)}
	for _, r := range c {
		if r.LeftOut != "" {
			made.LeftOut = append(made.LeftOut, r)
			continue
		}
		made.Records = append(made.Records, r)
		made.Memory = r.BytesPerConn != nil
		made.Void = made.Void || r.Void
		made.FewRounds = made.FewRounds || !r.Sound() && !r.Void
		made.Rounds = r.Rounds
	}
	var err error
	made.Chart, err = chart(c)
	return made, err
}

// spread is what a table says of a server's cost.
func spread(r results.Record) string {
	if r.BytesPerConn != nil {
		return fmt.Sprintf("%.0f [%.0f-%.0f]", r.BytesPerConn.Median, r.BytesPerConn.Min, r.BytesPerConn.Max)
	}
	return r.CPU.Micros()
}

func optional(s *rig.Spread) string {
	if s == nil {
		return ""
	}
	return ratio(*s)
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }
