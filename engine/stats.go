package engine

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/pool"
)

// Stats is what an engine has done and holds. The names have one style: what is counted comes first, in the plural, then which way
// it went or what became of it (MessagesIn, MessagesDropped); a number of bytes says Bytes. Unsigned fields count from the engine's start, and never fall;
// signed ones are what there is now. Counters of messages lag by what a loop is doing just now, until it asks its poller again.
type Stats struct {
	Connecting int64  `json:"connecting"` // connections that are CONNECTING: of a client, from Start on
	Open       int64  `json:"open"`       // connections that are OPEN
	Closing    int64  `json:"closing"`    // connections that are CLOSING
	Bridged    int64  `json:"bridged"`    // of all connections, those carried by goroutines: of listeners that are no plain sockets (tls.NewListener), of http.Server.ServeTLS, through proxies
	Accepted   uint64 `json:"accepted"`   // of a server: connections that came, within the limits
	Opened     uint64 `json:"opened"`     // of them, or of Dials, those that became OPEN

	Dials       uint64            `json:"dials"`       // of a client: connections that were begun, within MaxConns
	DialsFailed map[string]uint64 `json:"dialsFailed"` // of them, those that never opened, by the Reason of their DialError or HandshakeError

	MessagesIn      uint64 `json:"messagesIn"`
	BytesIn         uint64 `json:"bytesIn"` // payload of messages
	MessagesOut     uint64 `json:"messagesOut"`
	BytesOut        uint64 `json:"bytesOut"`        // payload that has left
	MessagesDropped uint64 `json:"messagesDropped"` // at MaxBufferedAmount
	PingsIn         uint64 `json:"pingsIn"`
	PongsIn         uint64 `json:"pongsIn"`

	Deflate DeflateStats `json:"deflate"`
	TLS     TLSStats     `json:"tls"`

	Closes   map[int]uint64    `json:"closes"`   // by the code that OnClose reported
	Failures map[int]uint64    `json:"failures"` // connections that we failed, by the code we sent
	Causes   map[string]uint64 `json:"causes"`   // closes of our own: idle, lifetime, pong-timeout, write-stall, inbound-budget
	Refusals map[string]uint64 `json:"refusals"` // opening handshakes refused, by reason; those of TLS are in TLS.Failed, and not here as well

	Pauses       uint64 `json:"pauses"`       // readings paused because HighWater was passed
	AcceptErrors uint64 `json:"acceptErrors"` // of listeners
	Panics       uint64 `json:"panics"`       // of handlers, and how often one ended its goroutine

	// SlowCallbacks is how often a callback held its loop for more than 100 ms: all other connections of that loop waited. The log
	// says which one it was, once a minute. It is counted while it still runs. Callbacks on workers hold no loop. Within a minute
	// of a line in the log nobody looks whether it was a callback: on a machine that is far too busy the engine's own work counts, too.
	SlowCallbacks uint64 `json:"slowCallbacks"`
	// LoopLag is how late the loops are: the longest time, in the last 5 to 10 seconds, for which one of them did not look for
	// what had come. An event that came in that time waited until it was over, and then for the events before it. Each loop is looked
	// at every 20 ms while something moves, so what is shorter may be missed.
	LoopLag time.Duration `json:"loopLagNanoseconds"`

	// QueuedBytes is what waits to be sent, over all connections, framed or not: what MaxBufferedAmount bounds for one. It is exact
	// but for what a call that runs just now changes, and for what a running callback has sent to its own connection.
	QueuedBytes        int64      `json:"queuedBytes"`
	BroadcastBytes     int64      `json:"broadcastBytes"`     // of broadcasts under way, counted for each loop that is not done with them
	InboundBytes       int64      `json:"inboundBytes"`       // charged to Options.InboundBudget
	InboundBudgetBytes int64      `json:"inboundBudgetBytes"` // its limit
	Buffers            pool.Stats `json:"buffers"`
}

// DeflateStats is what permessage-deflate did.
type DeflateStats struct {
	Conns        int64  `json:"conns"`        // connections, OPEN or CLOSING, that agreed on it
	MessagesIn   uint64 `json:"messagesIn"`   // compressed messages received
	WireBytesIn  uint64 `json:"wireBytesIn"`  // their bytes as received
	BytesIn      uint64 `json:"bytesIn"`      // their bytes as inflated
	MessagesOut  uint64 `json:"messagesOut"`  // messages compressed
	WireBytesOut uint64 `json:"wireBytesOut"` // bytes made of messages, of unfinished ones too, when they were compressed
	BytesOut     uint64 `json:"bytesOut"`     // what those were made of
}

// loopStats are counted by one loop. What is sent on its connections outgoing counts.
type loopStats struct {
	messagesIn, bytesIn      atomic.Uint64
	pingsIn, pongsIn, pauses atomic.Uint64
	inflated                 deflateCounter
}

type deflateCounter struct{ messages, wire, bytes atomic.Uint64 }

func (n *deflateCounter) add(k incoming.Count) {
	n.messages.Add(k.Messages)
	n.wire.Add(k.Wire)
	n.bytes.Add(k.Bytes)
}

// countDeflate counts a connection that agreed on a, when it opens (1) and when it closes (-1).
func (e *engine) countDeflate(a deflate.Agreement, by int64) {
	if a == (deflate.Agreement{}) {
		return
	}
	e.stats.deflating.Add(by)
	if !e.ownCompressor(a) {
		e.windows[a.Send.WindowBits].Add(by)
	}
}

// countBatch publishes what a batch of events has brought: one atomic addition, not one a message.
func (l *loop) countBatch() {
	if l.messages+l.bytes != 0 {
		l.stats.messagesIn.Add(l.messages)
		l.stats.bytesIn.Add(l.bytes)
		l.messages, l.bytes = 0, 0
	}
	l.outgoing.Counts.Add(&l.sent)
}

// countInflated publishes what a turn has inflated, if it has, and reports that.
func (l *loop) countInflated() bool {
	if l.lane.Inflated == (incoming.Count{}) {
		return false
	}
	l.stats.inflated.add(l.lane.Inflated)
	l.lane.Inflated = incoming.Count{}
	return true
}

// engineStats are the rarer counters.
type engineStats struct {
	connecting, open, closing, bridged     atomic.Int64
	deflating                              atomic.Int64
	accepted, opened, panics, acceptErrors atomic.Uint64
	slow                                   atomic.Uint64 // callbacks
	closes, failures                       tally[int]
	causes, refusals, dialsFailed          tally[string]
}

// tally counts by key.
type tally[K comparable] struct {
	mu sync.Mutex
	n  map[K]uint64
}

func (t *tally[K]) add(k K) {
	t.mu.Lock()
	if t.n == nil {
		t.n = make(map[K]uint64)
	}
	t.n[k]++
	t.mu.Unlock()
}

func (t *tally[K]) copy() map[K]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == nil {
		return map[K]uint64{}
	}
	return maps.Clone(t.n)
}

func (e *engine) snapshot() Stats {
	k := &e.stats
	s := Stats{
		Connecting: k.connecting.Load(), Open: k.open.Load(), Closing: k.closing.Load(), Bridged: k.bridged.Load(),
		Accepted: k.accepted.Load(), Opened: k.opened.Load(), Panics: k.panics.Load(), DialsFailed: k.dialsFailed.copy(),
		AcceptErrors: k.acceptErrors.Load(), BroadcastBytes: e.broadcasting.Load(),
		SlowCallbacks: k.slow.Load(), LoopLag: e.dog.lag(),
		Closes: k.closes.copy(), Failures: k.failures.copy(), Causes: k.causes.copy(), Refusals: k.refusals.copy(),
		InboundBytes: e.budget.used.Load(), InboundBudgetBytes: e.budget.limit, Buffers: e.pool.Stats(),
	}
	if e.role == codec.RoleClient { // admit numbers them alike
		s.Dials, s.Accepted = s.Accepted, 0
	}
	s.Deflate.Conns = k.deflating.Load()
	s.TLS = e.tlsStats()
	for _, l := range e.allLoops() {
		t, out := &l.stats, &l.outgoing.Counts
		s.MessagesIn += t.messagesIn.Load()
		s.BytesIn += t.bytesIn.Load()
		s.MessagesOut += out.Messages.Load()
		s.BytesOut += out.Bytes.Load()
		s.PingsIn += t.pingsIn.Load()
		s.PongsIn += t.pongsIn.Load()
		s.Pauses += t.pauses.Load()
		s.MessagesDropped += out.Dropped.Load()
		s.QueuedBytes += out.Waiting.Load()
		s.Deflate.add(t, out)
	}
	return s
}

func (d *DeflateStats) add(t *loopStats, out *outgoing.Counts) {
	d.MessagesIn += t.inflated.messages.Load()
	d.WireBytesIn += t.inflated.wire.Load()
	d.BytesIn += t.inflated.bytes.Load()
	d.MessagesOut += out.Deflated.Messages.Load()
	d.WireBytesOut += out.Deflated.Wire.Load()
	d.BytesOut += out.Deflated.Bytes.Load()
}
