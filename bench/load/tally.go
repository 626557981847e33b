package load

import (
	"encoding/json"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range of a histogram: 1 microsecond to 1 hour, three digits. What is longer counts as an hour.
const (
	shortest = 1000       // nanoseconds
	longest  = 3600 * 1e9 // nanoseconds
	digits   = 3
)

// Tally is what a generator did in a time: counts and histograms, of that time alone. Tallies add up without loss.
// In JSON a histogram is HdrHistogram's compressed form (V2, base64).
type Tally struct {
	// Connections. Open is how many are open at the end of the time; the others count events in it. An attempt ends as Opened or as
	// Failed; Ended were open.
	Open, Attempted, Opened, Failed, Ended int64

	// Messages, and bytes of payload. Warmup counts what was sent before the figures begin; all others are without it.
	Warmup, Due, Sent, Received, Answered int64
	SentBytes, ReceivedBytes              int64

	// Late were sent more than a millisecond after their time; Unsent had their time and were not sent, because a connection
	// was not open or not writable; Unanswered are those that End waited for in vain.
	Late, Unsent, Unanswered int64

	BufferedAmount int64 // at the end of the time, of all connections

	// Errors, by class and by what exactly: see [Class].
	Errors map[Class]map[string]int64

	Latency  *hdrhistogram.Histogram // nanoseconds from when a message should have left (closed loop: from when it left) to its answer or delivery
	Raw      *hdrhistogram.Histogram // from when it left
	Connect  *hdrhistogram.Histogram // from the start of an attempt to OPEN
	Lateness *hdrhistogram.Histogram // of sends: how long after its time a message left
	Pings    *hdrhistogram.Histogram // from ping to pong

	CPU   float64 // seconds of processor time that the generator's process used in the time
	RSS   int64   // bytes, at the end
	Loops int     // event loops that share the work; CPU/(time*Loops) near 1 means that the figures are the generator's
}

// Class is a kind of error.
type Class string

const (
	Refused     Class = "refused"     // the target's host answered that nobody listens
	TimedOut    Class = "timeout"     // connecting, TLS or the handshake took too long, or an answer never came
	Unreachable Class = "unreachable" // no route, no such name, a connection reset before OPEN
	TLSFailed   Class = "tls"
	Handshake   Class = "handshake" // an answer other than 101, or a wrong one; exactly: its status
	Closed      Class = "close"     // the connection ended though nobody here closed it; exactly: its close code
	Verify      Class = "verify"    // what came back is not what was sent
	Unasked     Class = "unasked"   // more came back than was sent
	Exhausted   Class = "exhausted" // no descriptor, no port, no memory here
	Lost        Class = "lost"      // a generator that is gone: its figures since its last report are missing
)

// NewTally is a tally of nothing, with all histograms.
func NewTally() *Tally {
	t := &Tally{Errors: map[Class]map[string]int64{}}
	for _, h := range t.histograms() {
		*h = newHistogram()
	}
	return t
}

// newHistogram is empty, and has the range of all histograms here: only those of one range add up without loss.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(shortest, longest, digits) }

func (t *Tally) histograms() []**hdrhistogram.Histogram {
	return []**hdrhistogram.Histogram{&t.Latency, &t.Raw, &t.Connect, &t.Lateness, &t.Pings}
}

// A tally tells so many classes of errors apart, and so many kinds in a class; what comes beyond that counts as others. A server that
// closes with a new reason each time, or a generator that lies, must not fill the memory.
const (
	mostClasses = 50
	mostKinds   = 200
	others      = "others"
)

// Fail counts n errors of a class.
func (t *Tally) Fail(class Class, what string, n int64) {
	if t.Errors == nil {
		t.Errors = map[Class]map[string]int64{}
	}
	if t.Errors[class] == nil && len(t.Errors) >= mostClasses {
		class = others
	}
	kinds := t.Errors[class]
	if kinds == nil {
		kinds = map[string]int64{}
		t.Errors[class] = kinds
	}
	if _, known := kinds[what]; !known && len(kinds) >= mostKinds {
		what = others
	}
	kinds[what] += n
}

// Follow adds what the same generator did after t. Open, BufferedAmount and RSS are those at the end of the later one.
func (t *Tally) Follow(later *Tally) {
	t.add(later)
	t.Open, t.BufferedAmount, t.RSS, t.Loops = later.Open, later.BufferedAmount, later.RSS, later.Loops
}

// Add adds what another generator did in the same time.
func (t *Tally) Add(other *Tally) {
	t.add(other)
	t.Open += other.Open
	t.BufferedAmount += other.BufferedAmount
	t.RSS += other.RSS
	t.Loops += other.Loops
}

// add adds what adds up whoever did it and whenever.
func (t *Tally) add(other *Tally) {
	into, from := t.counts(), other.counts()
	for i := range into {
		*into[i] += *from[i]
	}
	t.CPU += other.CPU
	for class, errors := range other.Errors {
		for what, n := range errors {
			t.Fail(class, what, n)
		}
	}
	have := other.histograms()
	for i, h := range t.histograms() {
		if *have[i] == nil {
			continue
		}
		if *h == nil {
			*h = newHistogram()
		}
		(*h).Merge(*have[i])
	}
}

// counts are the numbers of what happened in the time.
func (t *Tally) counts() []*int64 {
	return []*int64{
		&t.Attempted, &t.Opened, &t.Failed, &t.Ended,
		&t.Warmup, &t.Due, &t.Sent, &t.Received, &t.Answered, &t.SentBytes, &t.ReceivedBytes,
		&t.Late, &t.Unsent, &t.Unanswered,
	}
}

// tallyFields are Tally's without its methods.
type tallyFields Tally

// tallyJSON is a tally as JSON has it: what is declared here hides the field of the same name.
type tallyJSON struct {
	*tallyFields
	Latency, Raw, Connect, Lateness, Pings string `json:",omitempty"`
}

func (j *tallyJSON) histograms() []*string {
	return []*string{&j.Latency, &j.Raw, &j.Connect, &j.Lateness, &j.Pings}
}

// MarshalJSON leaves out histograms of nothing.
func (t *Tally) MarshalJSON() ([]byte, error) {
	j := tallyJSON{tallyFields: (*tallyFields)(t)}
	into := j.histograms()
	for i, h := range t.histograms() {
		if *h != nil {
			*into[i] = encoded(*h)
		}
	}
	return json.Marshal(j)
}

// UnmarshalJSON refuses histograms of another range.
func (t *Tally) UnmarshalJSON(b []byte) error {
	*t = *NewTally()
	j := tallyJSON{tallyFields: (*tallyFields)(t)}
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	into := t.histograms()
	for i, text := range j.histograms() {
		if *text == "" {
			continue
		}
		h, err := hdrhistogram.Decode([]byte(*text))
		if err != nil {
			return fmt.Errorf("a histogram: %w", err)
		}
		if h.LowestTrackableValue() != shortest || h.HighestTrackableValue() != longest || h.SignificantFigures() != digits {
			return fmt.Errorf("a histogram of %d to %d ns with %d digits: %d to %d with %d was expected; both sides must run the same version",
				h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures(), int64(shortest), int64(longest), digits)
		}
		*into[i] = h
	}
	return nil
}
