package main

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/gannet-ws/gannet/bench/internal/results"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// A chart is so many points wide and scaled to its place on the page: a column of a wide window, or all of a narrow one.
const (
	chartWidth = 400
	barRoom    = 22 // points of height for a server
	chartEdge  = 46 // for the axis
	barWidth   = 12
)

// inks are the colors that charts are drawn in. The page's style sheet gives each its real one, for light and for dark.
var inks = map[string]color.RGBA{
	"text": {0x0a, 0, 1, 0xff}, "grid": {0x0a, 0, 2, 0xff}, "whisker": {0x0a, 0, 3, 0xff},
	"subject": {0x0a, 0, 4, 0xff}, "floor": {0x0a, 0, 5, 0xff}, "peer": {0x0a, 0, 6, 0xff}, "foreign": {0x0a, 0, 7, 0xff}, "extra": {0x0a, 0, 8, 0xff},
}

// bar is one server.
type bar struct {
	name, role string
	value      rig.Spread
	label      string
}

// barsOf are those of c that took part, the cheapest first.
func barsOf(c results.Cell) (bars []bar) {
	for _, r := range c {
		switch {
		case r.LeftOut != "":
		case r.BytesPerConn != nil:
			bars = append(bars, bar{r.Server, r.Role, *r.BytesPerConn, fmt.Sprintf("%.0f", r.BytesPerConn.Median)})
		default:
			short, _, _ := strings.Cut(r.CPU.Micros(), " ")
			bars = append(bars, bar{r.Server, r.Role, *r.CPU, short})
		}
	}
	slices.SortStableFunc(bars, func(a, b bar) int {
		switch {
		case a.value.Median < b.value.Median:
			return -1
		case a.value.Median > b.value.Median:
			return 1
		}
		return 0
	})
	return bars
}

// chart draws c's bars as an SVG to be put into a page.
func chart(c results.Cell) (template.HTML, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	bars := barsOf(c)
	slices.Reverse(bars) // the y axis goes up
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.X.Min, p.X.Max = 0, 0
	var names []string
	for _, b := range bars {
		p.X.Max = max(p.X.Max, b.value.Max*1.12, b.value.Median*1.12)
		names = append(names, b.name)
	}
	if p.X.Max == 0 {
		p.X.Max = 1
	}
	p.X.Label.Text = axis(c[0])
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.6, float64(len(bars))-0.4
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color = inks["grid"], inks["grid"]
		a.Label.TextStyle.Color, a.Tick.Label.Color = inks["text"], inks["text"]
	}
	p.Y.Width, p.Y.Tick.Length, p.Y.Padding = 0, 0, 6
	p.X.Tick.Marker = plot.TickerFunc(withoutEdge)
	p.X.Label.TextStyle.Font.Size = 10
	p.Add(barPlotter(bars))
	svg := vgsvg.New(chartWidth, vg.Length(chartEdge+barRoom*len(bars)))
	p.Draw(draw.New(svg))
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return "", err
	}
	return inked(out.String()), nil
}

func axis(r results.Record) string {
	if r.BytesPerConn != nil {
		return "bytes a connection"
	}
	return "microseconds of CPU per " + r.Unit
}

// withoutEdge are the usual ticks, but for those whose label would be cut off at the end.
func withoutEdge(low, high float64) []plot.Tick {
	return slices.DeleteFunc(plot.DefaultTicks{}.Ticks(low, high), func(t plot.Tick) bool { return t.Value > low+0.96*(high-low) })
}

// inked leaves the SVG without its prologue and without a size of its own, in the colors of the page.
func inked(svg string) template.HTML {
	_, svg, _ = strings.Cut(svg, "<svg ")
	head, rest, _ := strings.Cut(svg, "viewBox")
	_ = head // width and height
	svg = "<svg viewBox" + rest
	for name, ink := range inks {
		svg = strings.ReplaceAll(svg, fmt.Sprintf("#%02X%02X%02X", ink.R, ink.G, ink.B), "var(--"+name+")")
	}
	// Nobody but the measure of the text needs Liberation Sans: Arial and Helvetica have its widths.
	return template.HTML(strings.ReplaceAll(svg, "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif"))
}

// barPlotter draws a bar up to the median, a whisker from the least to the most, and the median beside it.
type barPlotter []bar

func (bars barPlotter) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	label := text.Style{Color: inks["text"], Font: font.From(plot.DefaultFont, 10), XAlign: text.XLeft, YAlign: -0.4, Handler: p.TextHandler}
	for i, b := range bars {
		middle, left, right := y(float64(i)), x(0), x(b.value.Median)
		c.FillPolygon(inks[b.role], []vg.Point{
			{X: left, Y: middle - barWidth/2}, {X: right, Y: middle - barWidth/2}, {X: right, Y: middle + barWidth/2}, {X: left, Y: middle + barWidth/2},
		})
		c.StrokeLine2(draw.LineStyle{Color: inks["whisker"], Width: 1.5}, x(b.value.Min), middle, x(b.value.Max), middle)
		c.FillText(label, vg.Point{X: max(right, x(b.value.Max)) + 4, Y: middle}, b.label)
	}
}
