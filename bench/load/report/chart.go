package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/dustin/go-humanize"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart is so many points large, and is scaled to its place on the page: a column of a wide window, or all of a narrow one.
const (
	chartWidth, chartHeight = 440, 220
	lineWidth               = 1.6
	mostLabels              = 8 // of an axis
)

// chart is a picture with a legend and no text from outside.
type chart struct {
	Title, Unit string
	Note        string // what a reader may want to know of it
	Lines       []line

	across string // what the x axis is
	log    bool   // the y axis
	// ticks of the x axis; nil: of numbers.
	ticks plot.Ticker
}

// line is a curve. Points that are not a number leave a gap.
type line struct {
	Name   string
	Color  int // of the page's palette
	Dashed bool
	points plotter.XYs
}

// inks are the colors that a chart is drawn in. The page's style sheet gives them their real ones, for light and for dark.
var inks = []string{"#0A0001", "#0A0002", "#0A0003", "#0A0004"}

const gridInk = "#0A0000"

func ink(hex string) color.Color {
	var c color.RGBA
	_, err := fmt.Sscanf(hex, "#%02X%02X%02X", &c.R, &c.G, &c.B)
	if err != nil {
		panic("report: a color is no color")
	}
	c.A = 0xff
	return c
}

// useSans sets the font whose widths charts are measured with, once.
var useSans = sync.OnceFunc(func() { plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"} })

// SVG draws the chart.
func (c chart) SVG() (template.HTML, error) {
	useSans()
	p := plot.New()
	p.X.Label.Text = c.across
	p.BackgroundColor = nil
	p.X.Padding, p.Y.Padding = 0, 0
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = 12, 12
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink(gridInk), ink(gridInk)
		a.Tick.Length = 4
	}
	p.X.Tick.Marker = plot.TickerFunc(numberTicks)
	if c.ticks != nil {
		p.X.Tick.Marker = c.ticks
	}
	c.setRange(p)
	addGrid(p)
	for _, l := range c.Lines {
		if err := c.draw(p, l); err != nil {
			return "", fmt.Errorf("chart %q: %w", c.Title, err)
		}
	}
	svg := vgsvg.New(chartWidth, chartHeight)
	canvas := draw.Crop(draw.New(svg), 2, -8, 2, -6)
	p.Draw(canvas)
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return "", fmt.Errorf("chart %q: %w", c.Title, err)
	}
	return c.forPage(out.String()), nil
}

// forPage makes a document a part of the page: scalable, in the page's colors and font, with its name for those who do not see it.
func (c chart) forPage(svg string) template.HTML {
	_, body, _ := strings.Cut(svg, "<g ")
	for i, hex := range inks {
		body = strings.ReplaceAll(body, hex, fmt.Sprintf("var(--line%d)", i))
	}
	body = strings.ReplaceAll(body, gridInk, "var(--grid)")
	// The style sheet has the one font and color of all text.
	body = strings.ReplaceAll(body, "font-family:Liberation Sans;font-variant:normal;font-weight:normal;font-style:normal;", "")
	head := fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s"><g `, chartWidth, chartHeight, template.HTMLEscapeString(c.Title+", "+c.Unit))
	return template.HTML(head + body) //nolint:gosec // numbers, and names of ours that the drawing library escapes
}

// setRange leaves room above the highest point, and has zero in it unless the axis is logarithmic.
func (c chart) setRange(p *plot.Plot) {
	low, high := math.Inf(1), math.Inf(-1)
	left, right := math.Inf(1), math.Inf(-1)
	for _, l := range c.Lines {
		for _, xy := range l.points {
			left, right = min(left, xy.X), max(right, xy.X)
			if !math.IsNaN(xy.Y) {
				low, high = min(low, xy.Y), max(high, xy.Y)
			}
		}
	}
	if left >= right {
		left, right = left-1, left+1
	}
	p.X.Min, p.X.Max = left, right
	if c.log {
		p.Y.Min, p.Y.Max = low/1.3, high*1.3
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(powerTicks)
		return
	}
	p.Y.Min, p.Y.Max = 0, high*1.08
	if high <= 0 {
		p.Y.Max = 1
	}
	p.Y.Tick.Marker = plot.TickerFunc(numberTicks)
	if c.Unit == unitBytes {
		p.Y.Tick.Marker = plot.TickerFunc(byteTicks)
	}
}

func addGrid(p *plot.Plot) {
	g := plotter.NewGrid()
	g.Vertical.Color = nil
	g.Horizontal.Color, g.Horizontal.Width = ink(gridInk), 0.5
	p.Add(g)
}

// draw adds a line: a curve for each stretch without a gap, a dot for a point that stands alone.
func (c chart) draw(p *plot.Plot, l line) error {
	style := draw.LineStyle{Color: ink(inks[l.Color]), Width: lineWidth}
	if l.Dashed {
		style.Dashes = []vg.Length{5, 3}
	}
	for _, stretch := range stretches(l.points) {
		if len(stretch) == 1 {
			dot, err := plotter.NewScatter(stretch)
			if err != nil {
				return err
			}
			dot.GlyphStyle = draw.GlyphStyle{Color: style.Color, Radius: 2, Shape: draw.CircleGlyph{}}
			p.Add(dot)
			continue
		}
		curve, err := plotter.NewLine(stretch)
		if err != nil {
			return err
		}
		curve.LineStyle = style
		p.Add(curve)
	}
	return nil
}

// stretches are the parts between what is not a number.
func stretches(points plotter.XYs) (all []plotter.XYs) {
	from := 0
	for i := 0; i <= len(points); i++ {
		if i == len(points) || math.IsNaN(points[i].Y) {
			if i > from {
				all = append(all, points[from:i])
			}
			from = i + 1
		}
	}
	return all
}

// add takes a line that shows anything but zeros.
func (c *chart) add(l line) {
	shows := func(xy plotter.XY) bool { return xy.Y != 0 && !math.IsNaN(xy.Y) }
	if slices.ContainsFunc(l.points, shows) {
		c.Lines = append(c.Lines, l)
	}
}

// numberTicks are round numbers.
func numberTicks(low, high float64) []plot.Tick { return roundTicks(low, high, 1, short) }

// byteTicks are round numbers of KiB, MiB and so on.
func byteTicks(low, high float64) []plot.Tick {
	unit := math.Pow(1024, math.Max(0, math.Floor(math.Log(math.Max(high, 1))/math.Log(1024))))
	return roundTicks(low, high, unit, func(v float64) string {
		if v == 0 {
			return "0"
		}
		return humanize.IBytes(uint64(v))
	})
}

// roundTicks are a step of 1, 2 or 5 times a power of ten units apart.
func roundTicks(low, high, unit float64, label func(float64) string) (ticks []plot.Tick) {
	step := unit * math.Pow(10, math.Floor(math.Log10((high-low)/unit/mostLabels)))
	for _, times := range []float64{1, 2, 5, 10} {
		if (high-low)/(step*times) <= mostLabels {
			step *= times
			break
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		v := i*step + 0 // no negative zero
		ticks = append(ticks, plot.Tick{Value: v, Label: label(v)})
	}
	return ticks
}

// short writes 20k for 20000, and no more digits than a label needs.
func short(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return humanize.FtoaWithDigits(v/1e6, 2) + "M"
	case a >= 1e4:
		return humanize.FtoaWithDigits(v/1e3, 1) + "k"
	case a == 0 || a >= 1:
		return humanize.FtoaWithDigits(v, 2)
	default:
		return humanize.FtoaWithDigits(v, int(2-math.Floor(math.Log10(a))))
	}
}

// powerTicks are powers of ten, and 2 and 5 times them where there are few.
func powerTicks(low, high float64) (ticks []plot.Tick) {
	steps := []float64{1, 2, 5}
	if high/low > 200 {
		steps = []float64{1}
	}
	for e := math.Floor(math.Log10(low)); math.Pow(10, e) <= high; e++ {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= low && v <= high {
				ticks = append(ticks, plot.Tick{Value: v, Label: short(v)})
			}
		}
	}
	return ticks
}
