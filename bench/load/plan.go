package load

import (
	"slices"
	"time"
)

// Scenario is what the connections of a run do.
type Scenario string

const (
	Echo   Scenario = "echo"   // each connection sends; the server sends every message back
	Fanout Scenario = "fanout" // Plan.Writers connections send; the server sends each message to all; the delivery to each reader counts
	Idle   Scenario = "idle"   // connections are opened and held
	Storm  Scenario = "storm"  // connections open, close, and open again, as fast as ConnectRate says: connect time is the figure
	Drip   Scenario = "drip"   // connections send, and read DripRate bytes a second: what slow readers do to a server
	Churn  Scenario = "churn"  // as echo, and each connection leaves after ChurnAfter and comes back
)

// Expectation is what comes back for a message.
type Expectation string

const (
	ExpectEcho Expectation = "echo" // one message for each message, in order
	ExpectNone Expectation = "none" // nothing is waited for
)

// Plan is a whole run, as flags, a scenario file or a program say it. The zero value of a field is its default, which
// [Plan.Complete] fills in; [Plan.Check] refuses what cannot be, or cannot be together.
type Plan struct {
	URL         string   `json:"url" yaml:"url"`                                     // ws:// or wss://
	Scenario    Scenario `json:"scenario,omitempty" yaml:"scenario,omitempty"`       // default echo
	Connections int      `json:"connections,omitempty" yaml:"connections,omitempty"` // default 1
	ConnectRate float64  `json:"connectRate,omitempty" yaml:"connectRate,omitempty"` // connections begun a second, of all together; 0: 1,000
	Writers     int      `json:"writers,omitempty" yaml:"writers,omitempty"`         // fanout: how many of the connections send; default 1

	Rate     float64  `json:"rate,omitempty" yaml:"rate,omitempty"`   // open loop: messages a second, of all connections together
	Depth    int      `json:"depth,omitempty" yaml:"depth,omitempty"` // messages without an answer that each connection has under way at most: with a rate, what is due waits for an answer; without one, each answer brings the next message (closed loop)
	Warmup   Duration `json:"warmup,omitempty" yaml:"warmup,omitempty"`
	Duration Duration `json:"duration,omitempty" yaml:"duration,omitempty"` // after the warm-up; default 10 s, or that of the phases
	Phases   []Phase  `json:"phases,omitempty" yaml:"phases,omitempty"`     // instead of Rate and Duration
	FindRate string   `json:"findRate,omitempty" yaml:"findRate,omitempty"` // the highest rate at which these thresholds hold: "p99<10ms"

	Payload  Payload       `json:"payload,omitzero" yaml:"payload,omitempty"`
	Binary   bool          `json:"binary,omitempty" yaml:"binary,omitempty"`
	Verify   bool          `json:"verify,omitempty" yaml:"verify,omitempty"` // compare what comes back with what was sent, byte by byte
	Expect   Expectation   `json:"expect,omitempty" yaml:"expect,omitempty"` // default echo
	Deflate  bool          `json:"deflate,omitempty" yaml:"deflate,omitempty"`
	Ping     Duration      `json:"ping,omitempty" yaml:"ping,omitempty"` // 0: none
	DripRate int           `json:"dripRate,omitempty" yaml:"dripRate,omitempty"`
	Churn    Duration      `json:"churnAfter,omitempty" yaml:"churnAfter,omitempty"`
	Headers  []HeaderField `json:"headers,omitempty" yaml:"headers,omitempty"`
	Protocol []string      `json:"protocols,omitempty" yaml:"protocols,omitempty"` // sub-protocols to offer
	Origin   string        `json:"origin,omitempty" yaml:"origin,omitempty"`
	TLS      TLS           `json:"tls,omitzero" yaml:"tls,omitempty"`

	Sources        []string `json:"sources,omitempty" yaml:"sources,omitempty"` // local addresses: "127.0.0.1" or "127.0.0.1-127.0.0.20"
	ConnectTimeout Duration `json:"connectTimeout,omitempty" yaml:"connectTimeout,omitempty"`
	AnswerTimeout  Duration `json:"answerTimeout,omitempty" yaml:"answerTimeout,omitempty"` // how long answers are waited for at the end; default 5 s
	Seed           uint64   `json:"seed,omitempty" yaml:"seed,omitempty"`                   // of payloads, and of who sends when; 0: 1
	Loops          int      `json:"loops,omitempty" yaml:"loops,omitempty"`                 // event loops of each generator; 0: one a core

	Fail        []string `json:"fail,omitempty" yaml:"fail,omitempty"` // thresholds: "p99<5ms", "errors<0.1%"
	AbortOnFail bool     `json:"abortOnFail,omitempty" yaml:"abortOnFail,omitempty"`
}

// Phase is a part of a run with a rate and a number of connections of its own. A phase that follows another one goes from its
// figures to its own in a straight line if Ramp is set, and jumps otherwise.
type Phase struct {
	Duration    Duration `json:"duration" yaml:"duration"`
	Rate        float64  `json:"rate" yaml:"rate"`                                   // messages a second at the end of it
	Connections int      `json:"connections,omitempty" yaml:"connections,omitempty"` // 0: as many as before
	Ramp        bool     `json:"ramp,omitempty" yaml:"ramp,omitempty"`
}

// Payload is what messages hold: the first of File, Template and Text that is set, or Size bytes of noise.
type Payload struct {
	Size     int    `json:"size,omitempty" yaml:"size,omitempty"` // bytes; default 128
	Text     string `json:"text,omitempty" yaml:"text,omitempty"` // the same message each time
	File     string `json:"file,omitempty" yaml:"file,omitempty"` // its content is the message
	Template string `json:"template,omitempty" yaml:"template,omitempty"`
	Kind     string `json:"kind,omitempty" yaml:"kind,omitempty"` // of what Size makes: "letters" (default of text), "noise" (default of binary), "json" or "zero"
}

// ClosedLoop tells whether answers decide when messages leave, and no rate does.
func (p *Plan) ClosedLoop() bool {
	return p.Depth > 0 && p.Rate == 0 && p.FindRate == "" && !slices.ContainsFunc(p.Phases, func(h Phase) bool { return h.Rate != 0 })
}

// HeaderField is a header of the request. The same name may come twice.
type HeaderField struct {
	Name  string `json:"name" yaml:"name"`
	Value string `json:"value" yaml:"value"`
}

// TLS is how a wss:// URL is spoken to.
type TLS struct {
	CertFile   string `json:"cert,omitempty" yaml:"cert,omitempty"` // a client certificate, PEM
	KeyFile    string `json:"key,omitempty" yaml:"key,omitempty"`
	CAFile     string `json:"ca,omitempty" yaml:"ca,omitempty"` // trusted besides the system's
	ServerName string `json:"serverName,omitempty" yaml:"serverName,omitempty"`
	Insecure   bool   `json:"insecure,omitempty" yaml:"insecure,omitempty"` // any certificate will do
}

// Duration is a time.Duration that files write as "30s".
type Duration time.Duration

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	t, err := time.ParseDuration(string(b))
	*d = Duration(t)
	return err
}
