package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/gannet-ws/gannet/deflate"
)

// chartLevels are drawn. Level 9 costs so much more that it would press the others together.
var chartLevels = []int{1, 2, 3, 5, 6}

// levelColors go with chartLevels. Eyes that confuse red and green tell them apart (Okabe and Ito's palette).
var levelColors = []color.Color{
	color.RGBA{0x00, 0x00, 0x00, 0xff},
	color.RGBA{0xe6, 0x9f, 0x00, 0xff},
	color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
}

var (
	gray       = color.Gray{0x88}
	defaultRed = color.RGBA{0xd0, 0x00, 0x30, 0xff}
)

const (
	panelWidth, panelHeight = 340, 225 // points
	panelColumns            = 2
)

// chart is an SVG with a panel for each curve and a last one with the legend.
func chart(curves []curve) ([]byte, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	rows := (len(curves) + panelColumns) / panelColumns // one panel more than curves, rounded up
	width, height := vg.Length(panelColumns*panelWidth), vg.Length(rows*panelHeight)
	svg := vgsvg.New(width, height)
	canvas := draw.New(svg)
	canvas.SetColor(color.White) // the reader's page may be dark
	canvas.Fill(canvas.Rectangle.Path())
	tiles := draw.Tiles{Cols: panelColumns, Rows: rows, PadX: 12, PadY: 12, PadTop: 6, PadBottom: 6, PadLeft: 6, PadRight: 12}
	plots := make([][]*plot.Plot, rows)
	for i := range plots {
		plots[i] = make([]*plot.Plot, panelColumns)
	}
	for i, c := range curves {
		var err error
		if plots[i/panelColumns][i%panelColumns], err = panel(c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Corpus.Name, err)
		}
	}
	for i, at := range plot.Align(plots, tiles, canvas) {
		for j, p := range plots[i] {
			switch n := i*panelColumns + j; {
			case p != nil:
				p.Draw(at[j])
			case n == len(curves):
				drawLegend(at[j])
			}
		}
	}
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return nil, err
	}
	// Nobody but the measure of the text needs Liberation Sans: Arial and Helvetica have its widths.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")), nil
}

// panel draws one corpus: CPU to the right, on a logarithmic scale, size upwards.
func panel(c curve) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s (zlib 6: %.0f of %d bytes)", c.Corpus.Name, c.Corpus.Zlib6.Takeover, c.Corpus.PlainSize())
	p.X.Label.Text = "microseconds of CPU a message"
	p.Y.Label.Text = "bytes / zlib 6's"
	p.Y.Tick.Marker = plot.TickerFunc(tenthTicks)
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	setRange(p, c)
	if err := addReferences(p, c); err != nil {
		return nil, err
	}
	for i, level := range chartLevels {
		if err := addLevel(p, c, level, levelColors[i]); err != nil {
			return nil, err
		}
	}
	if def, ok := c.find(isDefault); ok {
		ring, err := glyphs(plotter.XYs{{X: def.Micros, Y: c.ratio(def)}}, defaultRing)
		if err != nil {
			return nil, err
		}
		p.Add(ring)
	}
	return p, nil
}

// setRange leaves some room around the points, zlib's two sizes and a tenth more than the smaller.
func setRange(p *plot.Plot, c curve) {
	low, high := 1.0, max(1.1, c.Corpus.Zlib6.Alone/c.Corpus.Zlib6.Takeover)
	left, right := math.Inf(1), 0.0
	for _, q := range c.Points {
		if !slices.Contains(chartLevels, q.Policy.Level) {
			continue
		}
		low, high = min(low, c.ratio(q)), max(high, c.ratio(q))
		left, right = min(left, q.Micros), max(right, q.Micros)
	}
	room := (high - low) / 12
	p.Y.Min, p.Y.Max = low-room, high+room
	p.X.Min, p.X.Max = left/1.15, right*1.15
}

var (
	zlibLine  = draw.LineStyle{Color: gray, Width: 1}
	tenthLine = draw.LineStyle{Color: gray, Width: 1, Dashes: []vg.Length{5, 3}}
	aloneLine = draw.LineStyle{Color: gray, Width: 1, Dashes: []vg.Length{1, 3}}

	alone       = draw.GlyphStyle{Radius: 3, Shape: draw.RingGlyph{}}
	kept        = draw.GlyphStyle{Radius: 2, Shape: draw.CircleGlyph{}}
	own         = draw.GlyphStyle{Radius: 3.5, Shape: draw.PyramidGlyph{}}
	defaultRing = draw.GlyphStyle{Radius: 6, Shape: draw.RingGlyph{}, Color: defaultRed}
)

// addReferences draws what zlib's level 6 makes: with takeover, a tenth more than that, and without.
func addReferences(p *plot.Plot, c curve) error {
	for _, r := range []struct {
		at    float64
		style draw.LineStyle
	}{{1, zlibLine}, {1.1, tenthLine}, {c.Corpus.Zlib6.Alone / c.Corpus.Zlib6.Takeover, aloneLine}} {
		line, err := plotter.NewLine(plotter.XYs{{X: p.X.Min, Y: r.at}, {X: p.X.Max, Y: r.at}})
		if err != nil {
			return err
		}
		line.LineStyle = r.style
		p.Add(line)
	}
	return nil
}

// addLevel draws a level's line from no history to the longest, and apart from it a compressor for each connection.
func addLevel(p *plot.Plot, c curve, level int, of color.Color) error {
	at := map[deflate.Takeover]plotter.XYs{}
	var way plotter.XYs
	for _, q := range c.Points {
		if q.Policy.Level != level {
			continue
		}
		xy := plotter.XY{X: q.Micros, Y: c.ratio(q)}
		at[q.Policy.Takeover] = append(at[q.Policy.Takeover], xy)
		if q.Policy.Takeover != deflate.OwnCompressor {
			way = append(way, xy)
		}
	}
	line, err := plotter.NewLine(way)
	if err != nil {
		return err
	}
	line.LineStyle = draw.LineStyle{Color: of, Width: 1}
	p.Add(line)
	for takeover, style := range map[deflate.Takeover]draw.GlyphStyle{
		deflate.NoTakeover: alone, deflate.SharedHistory: kept, deflate.OwnCompressor: own,
	} {
		style.Color = of
		points, err := glyphs(at[takeover], style)
		if err != nil {
			return err
		}
		p.Add(points)
	}
	return nil
}

func glyphs(at plotter.XYs, style draw.GlyphStyle) (*plotter.Scatter, error) {
	s, err := plotter.NewScatter(at)
	if err != nil {
		return nil, err
	}
	s.GlyphStyle = style
	return s, nil
}

func drawLegend(c draw.Canvas) {
	l := plot.NewLegend()
	l.Top, l.Left = true, true
	l.XOffs, l.YOffs = 30, -14
	l.Padding = 3
	for i, level := range chartLevels {
		l.Add(fmt.Sprintf("level %d", level), &plotter.Line{LineStyle: draw.LineStyle{Color: levelColors[i], Width: 1.5}})
	}
	l.Add("messages compressed alone: where the lines begin", thumb(alone))
	l.Add("512 B, 1, 2, 4, 8 and 32 KiB of history", thumb(kept))
	l.Add("a compressor for each connection, window 32 KiB", thumb(own))
	l.Add("the default: level 1, 4 KiB", thumb(defaultRing))
	l.Add("zlib level 6 with context takeover", &plotter.Line{LineStyle: zlibLine})
	l.Add("a tenth more than that", &plotter.Line{LineStyle: tenthLine})
	l.Add("zlib level 6 without context takeover", &plotter.Line{LineStyle: aloneLine})
	l.Draw(c)
}

func thumb(style draw.GlyphStyle) plot.Thumbnailer {
	if style.Color == nil {
		style.Color = color.Black
	}
	return &plotter.Scatter{GlyphStyle: style}
}

// logTicks are 1, 1.5, 2, 3, 5 and 7 times the powers of ten.
func logTicks(low, high float64) (ticks []plot.Tick) {
	for exponent := math.Floor(math.Log10(low)); math.Pow(10, exponent) <= high; exponent++ {
		for _, step := range []float64{1, 1.5, 2, 3, 5, 7} {
			// Dividing by a power of ten gives 0.2, multiplying by 0.1 need not.
			v := step * math.Pow(10, exponent)
			if exponent < 0 {
				v = step / math.Pow(10, -exponent)
			}
			if v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
			}
		}
	}
	return ticks
}

// tenthTicks are a step apart that leaves at most seven of them; there is always one at 1, where zlib is.
func tenthTicks(low, high float64) (ticks []plot.Tick) {
	perUnit := 50.0
	for _, fewer := range []float64{20, 10, 5, 2, 1} {
		if (high-low)*perUnit > 7 {
			perUnit = fewer
		}
	}
	for i := math.Ceil(low * perUnit); i <= high*perUnit; i++ {
		ticks = append(ticks, plot.Tick{Value: i / perUnit, Label: fmt.Sprintf("%.2f", i/perUnit)})
	}
	return ticks
}
