package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is a whole run: what reports are made of. Its JSON is what gannet load --json writes.
type Result struct {
	Plan     Plan      `json:"plan"`
	Version  string    `json:"version"` // of gannet
	Began    time.Time `json:"began"`
	Sending  time.Time `json:"sending"`  // when sending began: Series counts from here
	Duration float64   `json:"duration"` // seconds in which figures were taken

	Rate      float64 `json:"rate"`      // messages a second that came back (fanout: were delivered; none expected: were sent)
	RateAsked float64 `json:"rateAsked"` // 0 in a closed loop
	SentRate  float64 `json:"sentRate"`

	Connections Connections   `json:"connections"`
	Messages    Messages      `json:"messages"`
	Latency     Distribution  `json:"latency"`
	RawLatency  Distribution  `json:"rawLatency"`
	ConnectTime Distribution  `json:"connectTime"`
	Pings       *Distribution `json:"pings,omitempty"`

	Errors     []ErrorCount `json:"errors"` // the most frequent first
	Generators []Figures    `json:"generators"`
	Target     *Target      `json:"target,omitempty"` // with the target's process id
	Steps      []Step       `json:"steps,omitempty"`  // of a search for a rate
	Thresholds []Verdict    `json:"thresholds,omitempty"`
	Warnings   []string     `json:"warnings"` // why the figures may not be the server's; each says what to do
	Ended      string       `json:"ended"`    // "done", "interrupted", "aborted: p99<5ms", "failed: ..."
	Series     []Moment     `json:"series"`   // about one a second
	Whole      *Tally       `json:"-"`        // all histograms, for whoever writes them out
}

// ErrorTotal is how many errors there were, of all kinds.
func (r *Result) ErrorTotal() (n int64) {
	for _, e := range r.Errors {
		n += e.Count
	}
	return n
}

// Connections were asked for, and what came of them.
type Connections struct {
	Asked  int64 `json:"asked"`
	Opened int64 `json:"opened"` // more than Asked where connections leave and come back
	Failed int64 `json:"failed"` // attempts that did not reach OPEN
	Lost   int64 `json:"lost"`   // were open and ended before the run did, though nobody here closed them
	Open   int64 `json:"open"`   // most at once
}

// Messages is what was sent and what came back.
type Messages struct {
	Due           int64 `json:"due"` // had their time; 0 in a closed loop
	Sent          int64 `json:"sent"`
	Received      int64 `json:"received"`
	Answered      int64 `json:"answered"`
	Late          int64 `json:"late"`       // sent more than a millisecond after their time
	Unsent        int64 `json:"unsent"`     // had their time and were not sent
	Unanswered    int64 `json:"unanswered"` // were waited for in vain when the run ended
	SentBytes     int64 `json:"sentBytes"`  // of payload
	ReceivedBytes int64 `json:"receivedBytes"`
}

// Distribution of times, in milliseconds. All are 0 if Count is.
type Distribution struct {
	Count  int64   `json:"count"`
	Min    float64 `json:"min"`
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"stdDev"`
	P50    float64 `json:"p50"`
	P75    float64 `json:"p75"`
	P90    float64 `json:"p90"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
	P999   float64 `json:"p999"` // 99.9 of 100 were at most as long
	P9999  float64 `json:"p9999"`
	P99999 float64 `json:"p99999"`
	Max    float64 `json:"max"`
}

// DistributionOf sums up a histogram of nanoseconds. None, or one of nothing, is the zero Distribution.
func DistributionOf(h *hdrhistogram.Histogram) Distribution {
	if h == nil || h.TotalCount() == 0 {
		return Distribution{}
	}
	ms := func(ns float64) float64 { return ns / 1e6 }
	at := h.ValueAtPercentiles([]float64{50, 75, 90, 95, 99, 99.9, 99.99, 99.999})
	q := func(percentile float64) float64 { return ms(float64(at[percentile])) }
	return Distribution{
		Count: h.TotalCount(), Min: ms(float64(h.Min())), Mean: ms(h.Mean()), StdDev: ms(h.StdDev()), Max: ms(float64(h.Max())),
		P50: q(50), P75: q(75), P90: q(90), P95: q(95), P99: q(99), P999: q(99.9), P9999: q(99.99), P99999: q(99.999),
	}
}

// ErrorCount says how often something went wrong.
type ErrorCount struct {
	Class Class  `json:"class"`
	What  string `json:"what"`
	Count int64  `json:"count"`
}

// Figures are of one generator.
type Figures struct {
	Name     string       `json:"name"`
	CPU      float64      `json:"cpu"`      // seconds
	CPUShare float64      `json:"cpuShare"` // of its loops' processors, 0 to 1
	RSS      int64        `json:"rss"`      // bytes
	Lateness Distribution `json:"lateness"`
	Lost     bool         `json:"lost,omitempty"`
}

// Target is what the target's process used.
type Target struct {
	PIDs    []int   `json:"pids"`
	CPU     float64 `json:"cpu"`     // seconds in which figures were taken
	CPUEach float64 `json:"cpuEach"` // microseconds a message
	RSS     int64   `json:"rss"`     // most
}

// Moment is a second of a run.
type Moment struct {
	At             float64 `json:"at"` // seconds since sending began; below 0 while connecting
	Open           int64   `json:"open"`
	RateAsked      float64 `json:"rateAsked"` // messages a second
	Rate           float64 `json:"rate"`
	P50            float64 `json:"p50"` // milliseconds
	P99            float64 `json:"p99"`
	P999           float64 `json:"p999"`
	RawP99         float64 `json:"rawP99"`
	Errors         int64   `json:"errors"` // in this second
	Late           int64   `json:"late"`
	Unsent         int64   `json:"unsent"`
	BufferedAmount int64   `json:"bufferedAmount"` // bytes, of all connections
	GeneratorCPU   float64 `json:"generatorCPU"`   // processors in use
	TargetCPU      float64 `json:"targetCPU"`
	TargetRSS      int64   `json:"targetRSS"` // bytes

	// Histogram is of the latency of this second, in HdrHistogram's compressed form (V2, base64): some KB, for those who write
	// interval logs. Empty: nothing was answered.
	Histogram string `json:"-"`
}

// Step is a rate that a search tried.
type Step struct {
	Rate    float64      `json:"rate"`
	Reached float64      `json:"reached"`
	Latency Distribution `json:"latency"`
	Errors  int64        `json:"errors"`
	Holds   bool         `json:"holds"`
	Why     string       `json:"why,omitempty"` // the threshold that did not hold
}

// Verdict is a threshold and whether it held.
type Verdict struct {
	Threshold string `json:"threshold"` // "p99<5ms"
	Value     string `json:"value"`     // what came out: "4.2ms"
	Holds     bool   `json:"holds"`
}

// Snapshot is what a run tells while it goes on, about once a second.
type Snapshot struct {
	Stage   string        `json:"stage"` // "connecting", "warm-up", "running", "searching", "settling", "ending"
	Elapsed time.Duration `json:"elapsedNanoseconds"`
	Of      time.Duration `json:"ofNanoseconds"` // 0: not known
	Moment  Moment        `json:"moment"`
	Whole   Moment        `json:"whole"` // so far
	Opened  int64         `json:"opened"`
	Failed  int64         `json:"failed"`
	Asked   int64         `json:"asked"`
	Errors  []ErrorCount  `json:"errors"`
	Step    *Step         `json:"step,omitempty"` // the newest of a search
	Note    string        `json:"note,omitempty"`
}
