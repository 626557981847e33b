package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/gannet-ws/gannet/bench/load"
)

// JSON writes the whole result. The rate reached is "rate", in messages a second; times are in milliseconds.
func JSON(w io.Writer, r *load.Result) error {
	whole := *r
	// A list of nothing is [], so that programs need not ask.
	whole.Errors = orEmpty(r.Errors)
	whole.Generators = orEmpty(r.Generators)
	whole.Warnings = orEmpty(r.Warnings)
	whole.Series = orEmpty(r.Series)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(whole)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// columns of the time series.
var columns = []struct {
	name string
	of   func(load.Moment) string
}{
	{"seconds", func(m load.Moment) string { return decimal(m.At) }},
	{"open", func(m load.Moment) string { return whole(m.Open) }},
	{"rate_asked", func(m load.Moment) string { return decimal(m.RateAsked) }},
	{"rate", func(m load.Moment) string { return decimal(m.Rate) }},
	{"p50_ms", func(m load.Moment) string { return decimal(m.P50) }},
	{"p99_ms", func(m load.Moment) string { return decimal(m.P99) }},
	{"p999_ms", func(m load.Moment) string { return decimal(m.P999) }},
	{"raw_p99_ms", func(m load.Moment) string { return decimal(m.RawP99) }},
	{"errors", func(m load.Moment) string { return whole(m.Errors) }},
	{"late", func(m load.Moment) string { return whole(m.Late) }},
	{"unsent", func(m load.Moment) string { return whole(m.Unsent) }},
	{"buffered_bytes", func(m load.Moment) string { return whole(m.BufferedAmount) }},
	{"generator_cpu", func(m load.Moment) string { return decimal(m.GeneratorCPU) }},
	{"target_cpu", func(m load.Moment) string { return decimal(m.TargetCPU) }},
	{"target_rss_bytes", func(m load.Moment) string { return whole(m.TargetRSS) }},
}

// decimal has six digits behind the point at most: nanoseconds.
func decimal(v float64) string { return strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64) }

func whole(v int64) string { return strconv.FormatInt(v, 10) }

// CSV writes the time series: a line of names, then one for each second. Seconds below 0 are those of connecting.
func CSV(w io.Writer, r *load.Result) error {
	out := csv.NewWriter(w)
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.name
	}
	if err := out.Write(line); err != nil {
		return fmt.Errorf("CSV: %w", err)
	}
	for _, m := range r.Series {
		for i, c := range columns {
			line[i] = c.of(m)
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("CSV: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}
