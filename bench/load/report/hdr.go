package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gannet-ws/gannet/bench/load"
)

// HDR writes HdrHistogram's interval log (format 1.3), which its HistogramLogProcessor and HistogramLogAnalyzer read. Values are
// nanoseconds. Lines without a tag are the latency of each second, or of the whole run if its seconds were not kept. Then come, of the whole
// run, the tags raw, connect, lateness and ping, as far as there are any.
func HDR(w io.Writer, r *load.Result) error {
	began := r.Sending.UnixMilli()
	base := began / 1000 * 1000 // the format has whole seconds of it
	out := hdrhistogram.NewHistogramLogWriter(w)
	out.SetBaseTime(base)
	err := firstError(
		func() error { return out.OutputComment("[Logged with gannet load " + oneLine(r.Version) + "]") },
		out.OutputLogFormatVersion,
		func() error { return out.OutputBaseTime(base) },
		func() error { return out.OutputStartTime(began) },
		out.OutputLegend,
		func() error { return writeSeconds(out, r) },
	)
	if err != nil || r.Whole == nil {
		return err
	}
	for _, h := range []struct {
		tag string
		of  *hdrhistogram.Histogram
	}{{"raw", r.Whole.Raw}, {"connect", r.Whole.Connect}, {"lateness", r.Whole.Lateness}, {"ping", r.Whole.Pings}} {
		if err := writeInterval(out, h.of, h.tag, began, began+int64(r.Duration*1000)); err != nil {
			return err
		}
	}
	return nil
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// writeSeconds writes latency second by second, or in one if that was not kept.
func writeSeconds(out *hdrhistogram.HistogramLogWriter, r *load.Result) error {
	began, kept, from := r.Sending.UnixMilli(), false, int64(0)
	for _, m := range r.Series {
		to := int64(m.At * 1000)
		if m.Histogram != "" {
			h, err := hdrhistogram.Decode([]byte(m.Histogram))
			if err != nil {
				return fmt.Errorf("the histogram of second %v: %w", m.At, err)
			}
			if err := writeInterval(out, h, "", began+min(from, to), began+to); err != nil {
				return err
			}
			kept = true
		}
		from = max(to, 0)
	}
	if kept || r.Whole == nil {
		return nil
	}
	return writeInterval(out, r.Whole.Latency, "", began, began+int64(r.Duration*1000))
}

// writeInterval writes a histogram that has any values, from and to milliseconds of the epoch.
func writeInterval(out *hdrhistogram.HistogramLogWriter, h *hdrhistogram.Histogram, tag string, from, to int64) error {
	if h == nil || h.TotalCount() == 0 {
		return nil
	}
	h = h.Clone() // the caller's keeps its own tag and times
	h.SetTag(tag)
	h.SetStartTimeMs(from)
	h.SetEndTimeMs(to)
	return out.OutputIntervalHistogram(h)
}

// Percentiles writes HdrHistogram's percentile distribution (.hgrm) of latency, in milliseconds, which its plotter draws.
func Percentiles(w io.Writer, r *load.Result) error {
	if r.Whole == nil || r.Whole.Latency == nil {
		return fmt.Errorf("this result has no histogram of latency; a percentile distribution is made right after a run")
	}
	_, err := r.Whole.Latency.PercentilesPrint(w, 5, 1e6)
	return err
}

// HDRFor is the format that a file's name asks for: Percentiles for .hgrm, the interval log for all others.
func HDRFor(path string) Format {
	if strings.HasSuffix(strings.ToLower(path), ".hgrm") {
		return Percentiles
	}
	return HDR
}
