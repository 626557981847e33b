package main

import (
	"bytes"
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// series is a line of a panel: one value for each step.
type series struct {
	Name  string
	Of    func(step) float64
	Color color.Color
}

// Eyes that confuse red and green tell these apart (Okabe and Ito's palette).
var (
	black  = color.RGBA{0x00, 0x00, 0x00, 0xff}
	orange = color.RGBA{0xe6, 0x9f, 0x00, 0xff}
	blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
)

// panels are what is charted over the number of connections.
var panels = []struct {
	Title, Unit string
	Lines       []series
}{
	{"memory a connection", "bytes", []series{
		{"server, with echoes", func(s step) float64 { return s.Echo.ServerEndEach() }, black},
		{"kernel, both ends", func(s step) float64 { return s.Echo.KernelEach() }, orange},
		{"generator", func(s step) float64 { return s.Echo.Generator }, blue},
	}},
	{"CPU of the server", "microseconds", []series{
		{"an echo", func(s step) float64 { return s.Echo.CPUEach }, black},
		{"a delivery of a broadcast", func(s step) float64 { return s.Broadcast.CPUEach }, orange},
	}},
	{"connect rate", "connections a second", []series{
		{"until all were open", func(s step) float64 { return s.Echo.ConnectRate }, black},
	}},
	{"a broadcast to all: who has it when", "milliseconds", []series{
		{"half of them", func(s step) float64 { return s.Broadcast.Latency.P50 }, black},
		{"99 %", func(s step) float64 { return s.Broadcast.Latency.P99 }, orange},
		{"the last one", func(s step) float64 { return s.Broadcast.Latency.Max }, blue},
	}},
}

const (
	panelWidth, panelHeight = 340, 225 // points
	panelColumns, panelRows = 2, 2
)

// chart is an SVG of all panels.
func (g growth) chart() ([]byte, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	svg := vgsvg.New(panelColumns*panelWidth, panelRows*panelHeight)
	canvas := draw.New(svg)
	canvas.SetColor(color.White) // the reader's page may be dark
	canvas.Fill(canvas.Rectangle.Path())
	plots := make([][]*plot.Plot, panelRows)
	for i, p := range panels {
		made, err := g.panel(p.Title, p.Unit, p.Lines)
		if err != nil {
			return nil, err
		}
		plots[i/panelColumns] = append(plots[i/panelColumns], made)
	}
	tiles := draw.Tiles{Cols: panelColumns, Rows: panelRows, PadX: 12, PadY: 12, PadTop: 6, PadBottom: 6, PadLeft: 6, PadRight: 12}
	for i, row := range plot.Align(plots, tiles, canvas) {
		for j, at := range row {
			plots[i][j].Draw(at)
		}
	}
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return nil, err
	}
	// Nobody but the measure of the text needs Liberation Sans: Arial and Helvetica have its widths.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")), nil
}

// panel is one chart: connections to the right, on a logarithmic scale, and upwards from 0.
func (g growth) panel(title, unit string, lines []series) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "connections", unit
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(g.ticks)
	p.Y.Tick.Marker = plot.TickerFunc(valueTicks)
	p.Legend.Padding = 2
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, 8
	top := 1.0
	for _, l := range lines {
		points := make(plotter.XYs, 0, len(g.Steps))
		for _, s := range g.Steps {
			points = append(points, plotter.XY{X: s.Connections(), Y: l.Of(s)})
			top = max(top, l.Of(s))
		}
		way, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		way.Color, dots.Color = l.Color, l.Color
		way.Width, dots.Shape, dots.Radius = vg.Points(1.5), draw.CircleGlyph{}, 2.5
		p.Add(way, dots)
		p.Legend.Add(l.Name, way)
	}
	p.Y.Min, p.Y.Max = 0, top*(1.2+0.1*float64(len(lines))) // the legend has room above
	p.X.Min, p.X.Max = g.Steps[0].Connections()/1.3, g.Steps[len(g.Steps)-1].Connections()*1.3
	return p, nil
}

// ticks are at the steps.
func (g growth) ticks(_, _ float64) (all []plot.Tick) {
	for _, s := range g.Steps {
		all = append(all, plot.Tick{Value: s.Connections(), Label: grouped(s.Connections())})
	}
	return all
}

// valueTicks are gonum's, with labels as the page has them.
func valueTicks(low, high float64) []plot.Tick {
	all := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range all {
		switch {
		case t.Label == "":
		case high < 10:
			all[i].Label = strconv.FormatFloat(t.Value, 'g', 3, 64)
		default:
			all[i].Label = grouped(t.Value)
		}
	}
	return all
}
