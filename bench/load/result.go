package load

import "time"

// Result is a whole run: what reports are made of. Its JSON is what gannet load --json writes.
type Result struct {
	Plan     Plan      `json:"plan"`
	Version  string    `json:"version"` // of gannet
	Began    time.Time `json:"began"`
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

// Connections were asked for, and what came of them.
type Connections struct {
	Asked, Opened, Failed, Lost int64 // Lost were open and ended before the run did, though nobody here closed them
	Open                        int64 // most at once
}

// Messages is what was sent and what came back.
type Messages struct {
	Due, Sent, Received, Answered, Late, Unsent, Unanswered int64
	SentBytes, ReceivedBytes                                int64
}

// Distribution of times, in milliseconds. All are 0 if Count is.
type Distribution struct {
	Count                              int64
	Min, Mean, P50, P75, P90, P95, P99 float64
	P999, P9999, P99999, Max, StdDev   float64
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
	RSS      int64        `json:"rss"`
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
	At                      float64 `json:"at"` // seconds since sending began; below 0 while connecting
	Open                    int64   `json:"open"`
	RateAsked, Rate         float64
	P50, P99, P999, RawP99  float64 // milliseconds
	Errors, Late, Unsent    int64
	BufferedAmount          int64
	GeneratorCPU, TargetCPU float64 // processors in use
	TargetRSS               int64
}

// Step is a rate that a search tried.
type Step struct {
	Rate, Reached float64
	Latency       Distribution
	Errors        int64
	Holds         bool
	Why           string // the threshold that did not hold
}

// Verdict is a threshold and whether it held.
type Verdict struct {
	Threshold string
	Value     string
	Holds     bool
}

// Snapshot is what a run tells while it goes on, about once a second.
type Snapshot struct {
	Stage                 string // "connecting", "warm-up", "running", "searching", "settling", "ending"
	Elapsed               time.Duration
	Of                    time.Duration // 0: not known
	Moment                Moment
	Whole                 Moment // so far
	Opened, Failed, Asked int64
	Errors                []ErrorCount
	Step                  *Step // the newest of a search
	Note                  string
}
