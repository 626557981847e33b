package load

import (
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
	// Connections. Open is how many are open at the end of the time; the others count events in it.
	Open, Attempted, Opened, Ended int64

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
