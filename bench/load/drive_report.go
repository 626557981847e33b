package load

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// instant is a moment whose place in the run is not known yet: sending begins after connecting.
type instant struct {
	at time.Time
	Moment
}

// shortestMoment is the least time that a rate can be told of.
const shortestMoment = 100 * time.Millisecond

// report takes what everyone did since the last time, and shows it.
func (r *run) report() {
	t := r.crew.collect(Generator.Report)
	now := time.Now()
	r.accrue(now)
	elapsed := now.Sub(r.reported)
	r.reported = now
	r.whole.Follow(t)
	r.open = max(r.open, t.Open)
	if elapsed >= shortestMoment {
		m := r.moment(t, elapsed.Seconds())
		used := r.target.read()
		m.TargetCPU, m.TargetRSS = (used.cpu-r.target.shown.cpu)/elapsed.Seconds(), used.rss
		r.target.shown = used
		m.Histogram = encoded(t.Latency)
		r.series = append(r.series, instant{now, m})
		r.show(m)
	}
}

// moment is a tally of some seconds in figures.
func (r *run) moment(t *Tally, seconds float64) Moment {
	return Moment{
		Open: t.Open, RateAsked: r.asked.rate, Rate: float64(r.plan.reached(t)) / seconds,
		P50: milliseconds(t.Latency, 50), P99: milliseconds(t.Latency, 99), P999: milliseconds(t.Latency, 99.9), RawP99: milliseconds(t.Raw, 99),
		Errors: failures(t), Late: t.Late, Unsent: t.Unsent, BufferedAmount: t.BufferedAmount,
		GeneratorCPU: t.CPU / seconds,
	}
}

// last is the newest moment.
func (r *run) last() Moment {
	if len(r.series) == 0 {
		return Moment{}
	}
	return r.series[len(r.series)-1].Moment
}

// show tells of the run as it stands.
func (r *run) show(m Moment) {
	if r.o.Progress == nil {
		return
	}
	now := time.Now()
	if !r.at.IsZero() {
		m.At = now.Sub(r.at).Seconds()
	}
	s := Snapshot{
		Stage: r.stage, Elapsed: max(0, now.Sub(r.entered)), Of: r.of, Moment: m,
		Opened: r.whole.Opened, Failed: r.whole.Failed, Asked: int64(r.asked.connections), Errors: errorCounts(r.whole),
	}
	s.Whole = r.moment(r.whole, max(r.seconds(), second.Seconds()))
	if n := len(r.steps); n > 0 {
		step := r.steps[n-1]
		s.Step = &step
	}
	if lost := r.crew.namesOfLost(); len(lost) > 0 {
		s.Note = "lost: " + strings.Join(lost, ", ")
	}
	r.o.Progress(s)
}

// seconds is for how long figures have been taken.
func (r *run) seconds() float64 {
	switch {
	case r.figures.IsZero():
		return 0
	case !r.stopped.IsZero():
		return r.stopped.Sub(r.figures).Seconds()
	}
	return r.reported.Sub(r.figures).Seconds()
}

// result is the run until now.
func (r *run) result() *Result {
	res := &Result{
		Plan: r.plan, Version: r.o.Version, Began: r.began, Sending: r.sendingBegan(), Duration: r.seconds(), Ended: r.ended,
		Connections: Connections{
			Asked: int64(r.course.most()), Opened: r.whole.Opened, Failed: r.whole.Failed, Open: r.open, Lost: sum(r.whole.Errors[Closed]),
		},
		Messages: messages(r.whole),
		Latency:  DistributionOf(r.whole.Latency), RawLatency: DistributionOf(r.whole.Raw), ConnectTime: DistributionOf(r.whole.Connect),
		Errors: errorCounts(r.whole), Steps: slices.Clone(r.steps), Whole: r.whole, Warnings: []string{},
	}
	if r.whole.Pings != nil && r.whole.Pings.TotalCount() > 0 {
		pings := DistributionOf(r.whole.Pings)
		res.Pings = &pings
	}
	if res.Duration > 0 {
		inTime := r.whole
		if r.inTime != nil {
			inTime = r.inTime
		}
		res.Rate = float64(r.plan.reached(inTime)) / res.Duration
		res.SentRate = float64(inTime.Sent) / res.Duration
		res.RateAsked = r.askedFor / res.Duration
	}
	res.Generators = r.figuresOfEach()
	res.Target = r.target.figures(r.target0, res)
	for _, i := range r.series {
		i.At = i.at.Sub(r.sendingBegan()).Seconds()
		res.Series = append(res.Series, i.Moment)
	}
	for _, c := range r.fail {
		res.Thresholds = append(res.Thresholds, c.Check(res))
	}
	res.Warnings = append(res.Warnings, r.warnings(res)...)
	return res
}

// sendingBegan is when sending began, or the end of what there was before it could.
func (r *run) sendingBegan() time.Time {
	if r.at.IsZero() {
		return r.reported
	}
	return r.at
}

// figuresOfEach are the generators' own.
func (r *run) figuresOfEach() []Figures {
	var all []Figures
	r.crew.mu.Lock()
	defer r.crew.mu.Unlock()
	for _, m := range r.crew.members {
		f := Figures{Name: m.Name(), CPU: m.figures.CPU, RSS: m.figures.RSS, Lateness: DistributionOf(m.figures.Lateness), Lost: m.lost != nil}
		if s := r.seconds(); s > 0 {
			f.CPUShare = m.figures.CPU / s / float64(max(1, m.figures.Loops))
		}
		all = append(all, f)
	}
	return all
}

// reached is how many messages came through, in the sense of [Result.Rate].
func (p Plan) reached(t *Tally) int64 {
	switch {
	case p.Scenario == Fanout:
		return t.Received
	case p.Expect == ExpectNone:
		return t.Sent
	}
	return t.Answered
}

func messages(t *Tally) Messages {
	return Messages{
		Due: t.Due, Sent: t.Sent, Received: t.Received, Answered: t.Answered, Late: t.Late, Unsent: t.Unsent, Unanswered: t.Unanswered,
		SentBytes: t.SentBytes, ReceivedBytes: t.ReceivedBytes,
	}
}

// errorCounts are a tally's errors, the most frequent first.
func errorCounts(t *Tally) []ErrorCount {
	all := []ErrorCount{}
	for class, errors := range t.Errors {
		for what, n := range errors {
			all = append(all, ErrorCount{class, what, n})
		}
	}
	slices.SortFunc(all, func(a, b ErrorCount) int {
		if a.Count != b.Count {
			return int(min(1, max(-1, b.Count-a.Count)))
		}
		return strings.Compare(a.String(), b.String())
	})
	return all
}

// String is an error without its count: "handshake: 403".
func (e ErrorCount) String() string {
	if e.What == "" {
		return string(e.Class)
	}
	return fmt.Sprintf("%s: %s", e.Class, e.What)
}

// failures is how many errors a tally has.
func failures(t *Tally) int64 {
	n := int64(0)
	for _, errors := range t.Errors {
		n += sum(errors)
	}
	return n
}

func sum(of map[string]int64) int64 {
	n := int64(0)
	for _, v := range of {
		n += v
	}
	return n
}

// milliseconds is a percentile of nanoseconds.
func milliseconds(h *hdrhistogram.Histogram, percentile float64) float64 {
	if h == nil || h.TotalCount() == 0 {
		return 0
	}
	return float64(h.ValueAtPercentile(percentile)) / 1e6
}

// encoded is a histogram in HdrHistogram's compressed form; nothing if it is empty.
func encoded(h *hdrhistogram.Histogram) string {
	if h.TotalCount() == 0 {
		return ""
	}
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("load: a histogram of ours cannot be written: " + err.Error())
	}
	return string(b)
}
