package load

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Threshold is what a run must keep: "p99<5ms". [ParseThreshold] makes one.
type Threshold struct {
	metric   metric
	operator string
	value    float64 // milliseconds, a share of 1, messages a second, or a count
	share    bool    // value is a share: "0.1%"
}

// ThresholdError says why a threshold cannot be, and what can be said instead.
type ThresholdError struct {
	Text   string // what was given
	Reason string
}

func (e *ThresholdError) Error() string { return fmt.Sprintf("threshold %q: %s", e.Text, e.Reason) }

// operators, those first that others begin with.
var operators = []struct {
	text  string
	holds func(value, bound float64) bool
}{
	{"<=", func(value, bound float64) bool { return value <= bound }},
	{">=", func(value, bound float64) bool { return value >= bound }},
	{"<", func(value, bound float64) bool { return value < bound }},
	{">", func(value, bound float64) bool { return value > bound }},
}

// ParseThresholds reads thresholds with commas between them: "p99<5ms,errors<0.1%".
// Errors are [*ThresholdError].
func ParseThresholds(text string) ([]Threshold, error) {
	var all []Threshold
	for part := range strings.SplitSeq(text, ",") {
		t, err := ParseThreshold(part)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// ParseThreshold reads a figure, an operator (<, <=, > or >=) and a bound. The figures are:
//
//   - p50, p75, p90, p95, p99, p99.9, p99.99, p99.999, min, mean and max of latency; with connect-, raw- or ping- in front of them,
//     those of connect time, of uncorrected latency and of pings. The bound is a time with its unit: 5ms, 800us, 1.5s.
//   - errors: of all kinds, as a number or as a share of what was tried: connections and messages. connect-errors: attempts that did not reach
//     OPEN. lost: connections that ended though nobody here closed them. late, unsent, unanswered: messages. The bound is a number, or a share with a %.
//   - rate: messages a second that came back. The bound is a number, or a share of the rate asked for with a %.
//
// Errors are [*ThresholdError].
func ParseThreshold(text string) (Threshold, error) {
	text = strings.TrimSpace(text)
	fail := func(format string, args ...any) (Threshold, error) {
		return Threshold{}, &ThresholdError{Text: text, Reason: fmt.Sprintf(format, args...)}
	}
	at := strings.IndexAny(text, "<>=!")
	if at < 0 {
		return fail("no operator; write a figure, <, <=, > or >=, and a bound, as in p99<5ms")
	}
	name := strings.ToLower(strings.TrimSpace(text[:at]))
	m, ok := findMetric(name)
	if !ok {
		return fail("there is no figure %q; there are %s", name, strings.Join(metricNames(), ", "))
	}
	for _, o := range operators {
		bound, found := strings.CutPrefix(text[at:], o.text)
		if !found {
			continue
		}
		t := Threshold{metric: m, operator: o.text}
		if reason := t.parseBound(strings.TrimSpace(bound)); reason != "" {
			return fail("%s", reason)
		}
		return t, nil
	}
	return fail("the operators are <, <=, > and >=")
}

// parseBound answers why it could not.
func (t *Threshold) parseBound(bound string) (reason string) {
	if t.metric.kind == timeFigure {
		return t.parseTime(bound)
	}
	number, share := strings.CutSuffix(bound, "%")
	if t.metric.kind == rateFigure && !share {
		number = strings.TrimSuffix(number, "/s")
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) || v < 0 {
		return fmt.Sprintf("%q is no bound for %s; write a number or a share, as in %s", bound, t.metric.name, t.metric.example)
	}
	if share && v > 100 && t.metric.kind != rateFigure {
		return fmt.Sprintf("%s cannot be more than 100%%", t.metric.name)
	}
	t.value, t.share = v, share
	if share {
		t.value /= 100
	}
	return ""
}

func (t *Threshold) parseTime(bound string) (reason string) {
	if _, err := strconv.ParseFloat(bound, 64); err == nil && bound != "0" {
		return fmt.Sprintf("the time %q has no unit; write us, ms or s, as in %s", bound, t.metric.example)
	}
	d, err := time.ParseDuration(bound)
	if err != nil || d < 0 {
		return fmt.Sprintf("%q is no time; write a number and us, ms or s, as in %s", bound, t.metric.example)
	}
	t.value = float64(d) / 1e6
	return ""
}

// String is what ParseThreshold reads.
func (t Threshold) String() string {
	return t.metric.name + t.operator + t.format(t.value)
}

// format writes a value of the threshold's kind.
func (t Threshold) format(v float64) string {
	switch {
	case t.metric.kind == timeFigure:
		return formatMilliseconds(v)
	case t.share:
		return formatNumber(v*100) + "%"
	case t.metric.kind == rateFigure:
		return formatNumber(v) + "/s"
	default:
		return formatNumber(v)
	}
}

// formatNumber keeps six digits of a fraction, and all of a whole number.
func formatNumber(v float64) string {
	if v == math.Trunc(v) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	digits := 5 - int(math.Floor(math.Log10(math.Abs(v))))
	s := strconv.FormatFloat(v, 'f', min(max(digits, 1), 12), 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

func formatMilliseconds(v float64) string {
	switch {
	case v == 0:
		return "0s"
	case v < 1:
		return formatNumber(v*1000) + "us"
	case v < 1000:
		return formatNumber(v) + "ms"
	default:
		return formatNumber(v/1000) + "s"
	}
}

// Check says whether the run kept it. A figure that there is none of, because nothing was measured, keeps nothing.
func (t Threshold) Check(r *Result) Verdict {
	v := Verdict{Threshold: t.String()}
	measured, of, missing := t.metric.of(r)
	switch {
	case missing != "" && (t.metric.kind == timeFigure || t.share):
		v.Value = missing
		return v
	case t.share:
		v.Value = fmt.Sprintf("%s (%s of %s)", t.format(ratio(measured, of)), formatNumber(measured), formatNumber(of))
		measured = ratio(measured, of)
	default:
		v.Value = t.format(measured)
	}
	for _, o := range operators {
		if o.text == t.operator {
			v.Holds = o.holds(measured, t.value)
		}
	}
	return v
}

// ratio of nothing to nothing is 0, and of something to nothing 1.
func ratio(n, of float64) float64 {
	switch {
	case n == 0:
		return 0
	case of == 0:
		return 1
	default:
		return n / of
	}
}
