package load

import "strings"

// metric is a figure of a result that a threshold can bound.
type metric struct {
	name    string
	kind    figureKind
	example string
	// of answers the figure, what it is a share of, and, if there is no such figure, why.
	of func(*Result) (value, of float64, missing string)
}

type figureKind int

const (
	timeFigure figureKind = iota
	countFigure
	rateFigure
)

// distributions that times are taken from, by what stands in front of the name.
var distributions = []struct {
	prefix  string
	of      func(*Result) Distribution
	missing string
}{
	{"", func(r *Result) Distribution { return r.Latency }, "no message came back"},
	{"connect-", func(r *Result) Distribution { return r.ConnectTime }, "no connection was opened"},
	{"raw-", func(r *Result) Distribution { return r.RawLatency }, "no message came back"},
	{"ping-", func(r *Result) Distribution {
		if r.Pings == nil {
			return Distribution{}
		}
		return *r.Pings
	}, "no ping was answered"},
}

// times of a distribution.
var times = []struct {
	name string
	of   func(Distribution) float64
}{
	{"p50", func(d Distribution) float64 { return d.P50 }},
	{"p75", func(d Distribution) float64 { return d.P75 }},
	{"p90", func(d Distribution) float64 { return d.P90 }},
	{"p95", func(d Distribution) float64 { return d.P95 }},
	{"p99", func(d Distribution) float64 { return d.P99 }},
	{"p99.9", func(d Distribution) float64 { return d.P999 }},
	{"p99.99", func(d Distribution) float64 { return d.P9999 }},
	{"p99.999", func(d Distribution) float64 { return d.P99999 }},
	{"min", func(d Distribution) float64 { return d.Min }},
	{"mean", func(d Distribution) float64 { return d.Mean }},
	{"max", func(d Distribution) float64 { return d.Max }},
}

// counts, and what each is a share of.
var counts = []struct {
	name string
	of   func(*Result) (n, of int64)
}{
	{"errors", func(r *Result) (n, of int64) {
		return r.ErrorTotal(), r.Connections.Opened + r.Connections.Failed + r.Messages.Sent
	}},
	{"connect-errors", func(r *Result) (n, of int64) {
		return r.Connections.Failed, r.Connections.Opened + r.Connections.Failed
	}},
	{"lost", func(r *Result) (n, of int64) { return r.Connections.Lost, r.Connections.Opened }},
	{"late", func(r *Result) (n, of int64) { return r.Messages.Late, r.Messages.Sent }},
	{"unsent", func(r *Result) (n, of int64) { return r.Messages.Unsent, r.Messages.Due }},
	{"unanswered", func(r *Result) (n, of int64) { return r.Messages.Unanswered, r.Messages.Sent }},
}

// metrics are all that a threshold can name, those first that people need most.
var metrics = makeMetrics()

func makeMetrics() (all []metric) {
	for _, d := range distributions {
		for _, t := range times {
			name := d.prefix + t.name
			all = append(all, metric{name, timeFigure, name + "<5ms", func(r *Result) (float64, float64, string) {
				if from := d.of(r); from.Count > 0 {
					return t.of(from), 0, ""
				}
				return 0, 0, d.missing
			}})
		}
	}
	for _, c := range counts {
		all = append(all, metric{c.name, countFigure, c.name + "<10 or " + c.name + "<0.1%", func(r *Result) (float64, float64, string) {
			n, of := c.of(r)
			return float64(n), float64(of), ""
		}})
	}
	return append(all, metric{"rate", rateFigure, "rate>10000 or rate>95%", func(r *Result) (float64, float64, string) {
		if r.RateAsked == 0 {
			return r.Rate, 0, "no rate was asked for"
		}
		return r.Rate, r.RateAsked, ""
	}})
}

func findMetric(name string) (metric, bool) {
	for _, m := range metrics {
		if m.name == name {
			return m, true
		}
	}
	return metric{}, false
}

// metricNames are told to whoever named another one. Times are named once, and then what may stand in front of them.
func metricNames() (names []string) {
	var prefixes []string
	for _, d := range distributions {
		if d.prefix != "" {
			prefixes = append(prefixes, d.prefix+"p99")
		}
	}
	for _, t := range times {
		names = append(names, t.name)
	}
	names = append(names, strings.Join(prefixes, ", ")+" and the like")
	for _, c := range counts {
		names = append(names, c.name)
	}
	return append(names, "rate")
}
