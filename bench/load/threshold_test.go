package load

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// measured is a result in which each figure has a value of its own.
func measured() *Result {
	d := Distribution{
		Count: 1000, Min: 0.5, Mean: 1.5, P50: 1, P75: 2, P90: 3, P95: 3.5, P99: 4, P999: 5, P9999: 6, P99999: 7, Max: 8,
	}
	raw, connect := d, d
	raw.P99, connect.P99 = 0.25, 1500
	return &Result{
		Rate: 990, RateAsked: 1000,
		Connections: Connections{Asked: 100, Opened: 98, Failed: 2, Lost: 1},
		Messages:    Messages{Due: 2000, Sent: 1900, Answered: 1890, Late: 19, Unsent: 100, Unanswered: 0},
		Latency:     d, RawLatency: raw, ConnectTime: connect,
		Errors: []ErrorCount{{Refused, "", 2}, {Closed, "1006", 1}},
	}
}

func TestThresholdCheck(t *testing.T) {
	for _, c := range []struct {
		text, canonical, value string
		holds                  bool
	}{
		{"p99<5ms", "p99<5ms", "4ms", true},
		{"p99<4ms", "p99<4ms", "4ms", false},
		{"p99<=4ms", "p99<=4ms", "4ms", true},
		{" P99.9 < 4999us ", "p99.9<4.999ms", "5ms", false},
		{"p99.99<6.5ms", "p99.99<6.5ms", "6ms", true},
		{"p99.999<0.006s", "p99.999<6ms", "7ms", false},
		{"p50>=1ms", "p50>=1ms", "1ms", true},
		{"p75<2.1ms", "p75<2.1ms", "2ms", true},
		{"p90<3ms", "p90<3ms", "3ms", false},
		{"p95<3.6ms", "p95<3.6ms", "3.5ms", true},
		{"min>400us", "min>400us", "500us", true},
		{"mean<1.5ms", "mean<1.5ms", "1.5ms", false},
		{"max<8ms", "max<8ms", "8ms", false},
		{"raw-p99<300us", "raw-p99<300us", "250us", true},
		{"connect-p99<1s", "connect-p99<1s", "1.5s", false},
		{"connect-p50<0", "connect-p50<0s", "1ms", false},
		{"ping-p99<5ms", "ping-p99<5ms", "no ping was answered", false},
		{"errors<3", "errors<3", "3", false},
		{"errors<=3", "errors<=3", "3", true},
		{"errors<0.1%", "errors<0.1%", "0.15% (3 of 2000)", false},
		{"connect-errors<=2%", "connect-errors<=2%", "2% (2 of 100)", true},
		{"lost<1", "lost<1", "1", false},
		{"late<=1%", "late<=1%", "1% (19 of 1900)", true},
		{"unsent<5%", "unsent<5%", "5% (100 of 2000)", false},
		{"unanswered<=0", "unanswered<=0", "0", true},
		{"rate>980", "rate>980/s", "990/s", true},
		{"rate>=991/s", "rate>=991/s", "990/s", false},
		{"rate>98.5%", "rate>98.5%", "99% (990 of 1000)", true},
	} {
		got, err := ParseThreshold(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if want := (Verdict{c.canonical, c.value, c.holds}); got.Check(measured()) != want {
			t.Errorf("%q: %+v, want %+v", c.text, got.Check(measured()), want)
		}
		if again, err := ParseThreshold(got.String()); err != nil || again.String() != got.String() || again.value != got.value {
			t.Errorf("%q is said as %q, which reads as %v, %v", c.text, got, again, err)
		}
	}
}

// TestThresholdOfNothing: what was not measured keeps no promise, and nothing of nothing is no error.
func TestThresholdOfNothing(t *testing.T) {
	for text, want := range map[string]Verdict{
		"p99<5ms":         {"p99<5ms", "no message came back", false},
		"raw-max<5ms":     {"raw-max<5ms", "no message came back", false},
		"connect-p99<5ms": {"connect-p99<5ms", "no connection was opened", false},
		"errors<1%":       {"errors<1%", "0% (0 of 0)", true},
		"rate>0":          {"rate>0/s", "0/s", false},
		"rate>1%":         {"rate>1%", "no rate was asked for", false},
	} {
		got, err := ParseThreshold(text)
		if err != nil || got.Check(&Result{}) != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got.Check(&Result{}), err, want)
		}
	}
}

func TestParseThresholds(t *testing.T) {
	all, err := ParseThresholds("p99<5ms, errors<0.1%,rate>=95%")
	if err != nil || len(all) != 3 || all[0].String() != "p99<5ms" || all[1].String() != "errors<0.1%" || all[2].String() != "rate>=95%" {
		t.Errorf("%v, %v", all, err)
	}
}

func TestParseThresholdRefuses(t *testing.T) {
	for text, say := range map[string]string{
		"":               "as in p99<5ms",
		"p99":            "no operator",
		"p99<5ms,":       "no operator",
		"p99=5ms":        "operators are <, <=, > and >=",
		"p99!=5ms":       "operators are",
		"p99=<5ms":       "operators are",
		"p98<5ms":        "p99, p99.9, p99.99, p99.999, min, mean, max, connect-p99, raw-p99, ping-p99 and the like, errors, connect-errors, lost, late, unsent, unanswered, rate",
		"<5ms":           `no figure ""`,
		"p99<5":          `the time "5" has no unit; write us, ms or s, as in p99<5ms`,
		"p99<":           "is no time",
		"p99<<5ms":       "is no time",
		"p99<5 parsecs":  "is no time",
		"p99<-5ms":       "is no time",
		"p99<1%":         "is no time",
		"errors<x":       "as in errors<10 or errors<0.1%",
		"errors<-1":      "is no bound",
		"errors<NaN":     "is no bound",
		"errors<Inf%":    "is no bound",
		"errors<101%":    "more than 100%",
		"errors<5/s":     "is no bound",
		"rate>5ms":       "as in rate>10000 or rate>95%",
		"rate>":          "is no bound",
		"p99<5ms p50<1s": "is no time",
	} {
		_, err := ParseThresholds(text)
		var as *ThresholdError
		if !errors.As(err, &as) || !strings.Contains(err.Error(), say) {
			t.Errorf("%q: %v; want %q", text, err, say)
		}
	}
}

func TestDistributionOf(t *testing.T) {
	for _, none := range []*hdrhistogram.Histogram{nil, newHistogram()} {
		if got := DistributionOf(none); got != (Distribution{}) {
			t.Errorf("of nothing: %+v", got)
		}
	}
	h := newHistogram()
	for i := range int64(100_000) {
		_ = h.RecordValue((i + 1) * 1000) // 1 us to 100 ms
	}
	got := DistributionOf(h)
	for name, c := range map[string]struct{ got, want float64 }{
		"min": {got.Min, 0.001}, "mean": {got.Mean, 50}, "max": {got.Max, 100}, "stdDev": {got.StdDev, 28.87},
		"p50": {got.P50, 50}, "p75": {got.P75, 75}, "p90": {got.P90, 90}, "p95": {got.P95, 95}, "p99": {got.P99, 99},
		"p99.9": {got.P999, 99.9}, "p99.99": {got.P9999, 99.99}, "p99.999": {got.P99999, 99.999},
	} {
		if math.Abs(c.got-c.want) > c.want/1000+0.001 {
			t.Errorf("%s: %v, want %v within a thousandth", name, c.got, c.want)
		}
	}
	if got.Count != 100_000 {
		t.Errorf("%d values", got.Count)
	}
}

// TestResultNames: every field of a result has a name in JSON, of letters and digits, that begins with a small one.
func TestResultNames(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	b, err := json.Marshal(Result{
		Errors: make([]ErrorCount, 1), Generators: make([]Figures, 1), Target: &Target{}, Steps: make([]Step, 1),
		Thresholds: make([]Verdict, 1), Series: make([]Moment, 1), Pings: &Distribution{},
	})
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				if !name.MatchString(key) {
					t.Errorf("a field is named %q", key)
				}
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(tree)
	for _, of := range []reflect.Type{reflect.TypeFor[Result](), reflect.TypeFor[Snapshot](), reflect.TypeFor[Distribution](), reflect.TypeFor[Moment]()} {
		for _, f := range reflect.VisibleFields(of) {
			if f.Tag.Get("json") == "" {
				t.Errorf("%s.%s has no tag", of.Name(), f.Name)
			}
		}
	}
}
