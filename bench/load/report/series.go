package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/gannet-ws/gannet/bench/load"
)

const (
	unitBytes = "bytes"
	unitMS    = "milliseconds"
	across    = "seconds"
	// mostPoints of a line: more than a screen has is ink without news.
	mostPoints = 400
)

// charts are those that show anything.
func charts(r *load.Result) (all []chart) {
	moments, each := thin(r.Series)
	if len(moments) > 0 {
		all = append(all, rateChart(moments), latencyChart(moments))
	}
	all = append(all, percentileChart(r))
	if len(moments) > 0 {
		all = append(all, openChart(moments), troubleChart(moments), cpuChart(moments), memoryChart(moments))
	}
	shown := all[:0]
	for _, c := range all {
		if len(c.Lines) == 0 {
			continue
		}
		if each > 1 && c.across == across {
			c.Note = strings.TrimSpace(fmt.Sprintf("%s Each point joins %d seconds: the mean of rates and processors, the worst of times, the sum of trouble.", c.Note, each))
		}
		shown = append(shown, c)
	}
	return shown
}

// thin joins moments until there are few enough: rates and processors become means, latencies and memory the most, counts sums.
func thin(series []load.Moment) (thinned []load.Moment, each int) {
	each = (len(series) + mostPoints - 1) / mostPoints
	if each <= 1 {
		return series, 1
	}
	for from := 0; from < len(series); from += each {
		thinned = append(thinned, join(series[from:min(from+each, len(series))]))
	}
	return thinned, each
}

func join(some []load.Moment) load.Moment {
	last := some[len(some)-1]
	all := load.Moment{At: last.At, Open: last.Open}
	n := float64(len(some))
	for _, m := range some {
		all.RateAsked += m.RateAsked / n
		all.Rate += m.Rate / n
		all.GeneratorCPU += m.GeneratorCPU / n
		all.TargetCPU += m.TargetCPU / n
		all.P50, all.P99, all.P999 = max(all.P50, m.P50), max(all.P99, m.P99), max(all.P999, m.P999)
		all.RawP99 = max(all.RawP99, m.RawP99)
		all.BufferedAmount, all.TargetRSS = max(all.BufferedAmount, m.BufferedAmount), max(all.TargetRSS, m.TargetRSS)
		all.Errors += m.Errors
		all.Late += m.Late
		all.Unsent += m.Unsent
	}
	return all
}

// over is a line over time.
func over(moments []load.Moment, of func(load.Moment) float64) plotter.XYs {
	points := make(plotter.XYs, len(moments))
	for i, m := range moments {
		points[i] = plotter.XY{X: m.At, Y: of(m)}
	}
	return points
}

// orGap is for times: 0 is a second in which nothing came back.
func orGap(of func(load.Moment) float64) func(load.Moment) float64 {
	return func(m load.Moment) float64 {
		if v := of(m); v > 0 {
			return v
		}
		return math.NaN()
	}
}

func rateChart(m []load.Moment) chart {
	c := chart{Title: "Rate", Unit: "messages a second", across: across}
	c.add(line{Name: "reached", points: over(m, func(m load.Moment) float64 { return m.Rate })})
	c.add(line{Name: "asked for", Color: 1, Dashed: true, points: over(m, func(m load.Moment) float64 { return m.RateAsked })})
	return c
}

func latencyChart(m []load.Moment) chart {
	c := chart{
		Title: "Latency", Unit: unitMS + ", logarithmic", across: across, log: true,
		Note: "A gap is a time in which nothing came back.",
	}
	c.add(line{Name: "p50", points: over(m, orGap(func(m load.Moment) float64 { return m.P50 }))})
	c.add(line{Name: "p99", Color: 2, points: over(m, orGap(func(m load.Moment) float64 { return m.P99 }))})
	c.add(line{Name: "p99.9", Color: 3, points: over(m, orGap(func(m load.Moment) float64 { return m.P999 }))})
	c.add(line{Name: "raw p99", Color: 1, Dashed: true, points: over(m, orGap(func(m load.Moment) float64 { return m.RawP99 }))})
	return c
}

func openChart(m []load.Moment) chart {
	c := chart{Title: "Connections", Unit: "open", across: across}
	c.add(line{Name: "open", points: over(m, func(m load.Moment) float64 { return float64(m.Open) })})
	return c
}

func troubleChart(m []load.Moment) chart {
	c := chart{Title: "Trouble", Unit: "since the point before", across: across}
	c.add(line{Name: "errors", Color: 3, points: over(m, func(m load.Moment) float64 { return float64(m.Errors) })})
	c.add(line{Name: "messages late", Color: 2, points: over(m, func(m load.Moment) float64 { return float64(m.Late) })})
	c.add(line{Name: "messages unsent", Color: 1, Dashed: true, points: over(m, func(m load.Moment) float64 { return float64(m.Unsent) })})
	return c
}

func cpuChart(m []load.Moment) chart {
	c := chart{Title: "Processors", Unit: "in use", across: across}
	c.add(line{Name: "target", points: over(m, func(m load.Moment) float64 { return m.TargetCPU })})
	c.add(line{Name: "generators", Color: 2, points: over(m, func(m load.Moment) float64 { return m.GeneratorCPU })})
	return c
}

func memoryChart(m []load.Moment) chart {
	c := chart{Title: "Memory", Unit: unitBytes, across: across}
	c.add(line{Name: "target's RSS", points: over(m, func(m load.Moment) float64 { return float64(m.TargetRSS) })})
	c.add(line{Name: "bufferedAmount of all", Color: 2, points: over(m, func(m load.Moment) float64 { return float64(m.BufferedAmount) })})
	return c
}

// mostNines: a percentile is drawn up to 99.9999 %.
const mostNines = 6

// percentileChart has one nine more at each equal step to the right.
func percentileChart(r *load.Result) chart {
	c := chart{
		Title: "Latency by percentile", Unit: unitMS + ", logarithmic", across: "percent of messages", log: true, ticks: plot.TickerFunc(ninesTicks),
	}
	from := []*hdrhistogram.Histogram{nil, nil}
	if r.Whole != nil {
		from = []*hdrhistogram.Histogram{r.Whole.Latency, r.Whole.Raw}
	}
	for i, d := range []load.Distribution{r.Latency, r.RawLatency} {
		if d.Count == 0 || i == 1 && r.Plan.Depth > 0 {
			continue
		}
		l := line{Name: []string{"latency", "raw"}[i], Color: i, Dashed: i == 1, points: percentiles(d, from[i])}
		c.add(l)
	}
	return c
}

// nines is how far to the right a percentile stands: 1 for 90, 2 for 99.
func nines(percentile float64) float64 { return -math.Log10(1 - percentile/100) }

// percentiles are those of a histogram, as far as it has values to tell them apart, or else the few of a distribution.
func percentiles(d load.Distribution, h *hdrhistogram.Histogram) (points plotter.XYs) {
	add := func(nines, ms float64) {
		if ms > 0 && nines <= math.Log10(float64(d.Count))+0.01 {
			points = append(points, plotter.XY{X: nines, Y: ms})
		}
	}
	if h != nil && h.TotalCount() > 0 {
		for n := 0.0; n <= mostNines; n += 0.05 {
			add(n, float64(h.ValueAtPercentile(100*(1-math.Pow(10, -n))))/1e6)
		}
		return points
	}
	for _, p := range []struct{ percentile, ms float64 }{
		{0, d.Min}, {50, d.P50}, {75, d.P75}, {90, d.P90}, {95, d.P95}, {99, d.P99}, {99.9, d.P999}, {99.99, d.P9999}, {99.999, d.P99999},
	} {
		add(nines(p.percentile), p.ms)
	}
	return points
}

// ninesTicks are 0, 50, 90, 99 and so on.
func ninesTicks(low, high float64) (ticks []plot.Tick) {
	for _, p := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999} {
		if x := nines(p); x >= low && x <= high+0.01 {
			ticks = append(ticks, plot.Tick{Value: min(x, high), Label: strconv.FormatFloat(p, 'f', -1, 64)})
		}
	}
	return ticks
}
