package engine

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/pool"
)

// Stats is what an engine has done and holds. Counters count from its start; those of messages lag by what a loop is doing
// just now, until it asks its poller again.
type Stats struct {
	Connecting int64  `json:"connecting"` // opening handshakes under way
	Open       int64  `json:"open"`       // OPEN
	Closing    int64  `json:"closing"`    // CLOSING
	Bridged    int64  `json:"bridged"`    // of all, those carried by goroutines
	Accepted   uint64 `json:"accepted"`
	Opened     uint64 `json:"opened"`

	MessagesIn  uint64 `json:"messagesIn"`
	BytesIn     uint64 `json:"bytesIn"` // payload of messages
	MessagesOut uint64 `json:"messagesOut"`
	BytesOut    uint64 `json:"bytesOut"` // payload that has left
	PingsIn     uint64 `json:"pingsIn"`
	PongsIn     uint64 `json:"pongsIn"`

	Deflate DeflateStats `json:"deflate"`

	Closes   map[int]uint64    `json:"closes"`   // by the code that OnClose reported
	Failures map[int]uint64    `json:"failures"` // connections that we failed, by the code we sent
	Causes   map[string]uint64 `json:"causes"`   // closes of our own: idle, lifetime, pong-timeout, write-stall, inbound-budget
	Refusals map[string]uint64 `json:"refusals"` // handshakes refused, by reason

	Pauses  uint64 `json:"pauses"`  // readings paused because HighWater was passed
	Dropped uint64 `json:"dropped"` // messages dropped at MaxBufferedAmount
	Panics  uint64 `json:"panics"`  // of handlers, and how often one ended its goroutine

	BroadcastBytes int64 `json:"broadcastBytes"` // of broadcasts under way, counted for each loop that is not done with them

	AcceptErrors  uint64     `json:"acceptErrors"`
	InboundBytes  int64      `json:"inboundBytes"`  // charged to InboundBudget
	InboundBudget int64      `json:"inboundBudget"` // its limit
	Buffers       pool.Stats `json:"buffers"`
}

// DeflateStats is what permessage-deflate did.
type DeflateStats struct {
	Conns       int64  `json:"conns"`       // connections, OPEN or CLOSING, that agreed on it
	MessagesIn  uint64 `json:"messagesIn"`  // compressed messages received
	WireIn      uint64 `json:"wireIn"`      // their bytes as received
	BytesIn     uint64 `json:"bytesIn"`     // their bytes as inflated
	MessagesOut uint64 `json:"messagesOut"` // messages compressed
	WireOut     uint64 `json:"wireOut"`     // bytes made of messages, of unfinished ones too, when they were compressed
	BytesOut    uint64 `json:"bytesOut"`    // what those were made of
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
	closes, failures                       tally[int]
	causes, refusals                       tally[string]
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
		Accepted: k.accepted.Load(), Opened: k.opened.Load(), Panics: k.panics.Load(),
		AcceptErrors: k.acceptErrors.Load(), BroadcastBytes: e.broadcasting.Load(),
		Closes: k.closes.copy(), Failures: k.failures.copy(), Causes: k.causes.copy(), Refusals: k.refusals.copy(),
		InboundBytes: e.budget.used.Load(), InboundBudget: e.budget.limit, Buffers: e.pool.Stats(),
	}
	s.Deflate.Conns = k.deflating.Load()
	for _, l := range e.allLoops() {
		t, out := &l.stats, &l.outgoing.Counts
		s.MessagesIn += t.messagesIn.Load()
		s.BytesIn += t.bytesIn.Load()
		s.MessagesOut += out.Messages.Load()
		s.BytesOut += out.Bytes.Load()
		s.PingsIn += t.pingsIn.Load()
		s.PongsIn += t.pongsIn.Load()
		s.Pauses += t.pauses.Load()
		s.Dropped += out.Dropped.Load()
		s.Deflate.add(t, out)
	}
	return s
}

func (d *DeflateStats) add(t *loopStats, out *outgoing.Counts) {
	d.MessagesIn += t.inflated.messages.Load()
	d.WireIn += t.inflated.wire.Load()
	d.BytesIn += t.inflated.bytes.Load()
	d.MessagesOut += out.Deflated.Messages.Load()
	d.WireOut += out.Deflated.Wire.Load()
	d.BytesOut += out.Deflated.Bytes.Load()
}
