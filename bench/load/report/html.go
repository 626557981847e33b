package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

//go:embed page.html.tmpl
var pageSource string

// page is escaped by html/template: for each place what is dangerous there.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"line": oneLine, "whole": harmless, "count": count, "rate": rate, "bytes": bytesOf, "percent": percent, "ms": milliseconds,
	"class": func(c load.Class) string { return oneLine(string(c)) },
	"float": func(n int64) float64 { return float64(n) },
	"per":   perSecond,
	"step":  stepVerdict,
}).Parse(pageSource))

// pageData is what the template sees.
type pageData struct {
	*load.Result
	Headline string
	When     string
	Size     string
	Charts   []drawn
	Clocks   []clockTable
	Times    []timeRow
	Groups   []groupTable
}

type drawn struct {
	chart
	Picture template.HTML
}

type clockTable struct {
	Name, What string
	Count      int64
}

type timeRow struct {
	Name   string
	Values []string
}

type groupTable struct {
	Errors []load.ErrorCount
	Advice string
}

// HTML writes a page that needs no network and runs no script: tables, and charts over time and by percentile. It is light or dark as its reader's
// system is, and fits wide and narrow windows.
func HTML(w io.Writer, r *load.Result) error {
	d := pageData{Result: r, Headline: headline(r), When: r.Began.Format(time.RFC1123Z)}
	for _, c := range charts(r) {
		svg, err := c.SVG()
		if err != nil {
			return err
		}
		d.Charts = append(d.Charts, drawn{c, svg})
	}
	all := clocks(r)
	for _, c := range all {
		d.Clocks = append(d.Clocks, clockTable{c.name, c.what, c.of.Count})
	}
	for _, q := range times {
		row := timeRow{Name: q.name}
		for _, c := range all {
			row.Values = append(row.Values, milliseconds(q.of(c.of)))
		}
		d.Times = append(d.Times, row)
	}
	for _, g := range byClass(r.Errors) {
		d.Groups = append(d.Groups, groupTable{g.errors, advice(g.class)})
	}
	if err := page.Execute(w, d); err != nil {
		return fmt.Errorf("HTML: %w", err)
	}
	return nil
}
