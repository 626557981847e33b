package engine

import "maps"

// Add is what the engines of s and o have done and hold together: those of several processes, or a server and a client. Counters
// and what there is now are added, maps key by key; InboundBudgetBytes is what both may hold; LoopLag is the longer of the two.
// Neither s nor o changes, and the result shares no map with them.
func (s Stats) Add(o Stats) Stats {
	s.Connecting += o.Connecting
	s.Open += o.Open
	s.Closing += o.Closing
	s.Bridged += o.Bridged
	s.Accepted += o.Accepted
	s.Opened += o.Opened
	s.Dials += o.Dials
	s.DialsFailed = addByKey(s.DialsFailed, o.DialsFailed)

	s.MessagesIn += o.MessagesIn
	s.BytesIn += o.BytesIn
	s.MessagesOut += o.MessagesOut
	s.BytesOut += o.BytesOut
	s.MessagesDropped += o.MessagesDropped
	s.PingsIn += o.PingsIn
	s.PongsIn += o.PongsIn
	s.Deflate = s.Deflate.plus(o.Deflate)
	s.TLS = s.TLS.plus(o.TLS)

	s.Closes = addByKey(s.Closes, o.Closes)
	s.Failures = addByKey(s.Failures, o.Failures)
	s.Causes = addByKey(s.Causes, o.Causes)
	s.Refusals = addByKey(s.Refusals, o.Refusals)
	s.Pauses += o.Pauses
	s.AcceptErrors += o.AcceptErrors
	s.Panics += o.Panics
	s.SlowCallbacks += o.SlowCallbacks
	s.LoopLag = max(s.LoopLag, o.LoopLag)

	s.QueuedBytes += o.QueuedBytes
	s.BroadcastBytes += o.BroadcastBytes
	s.InboundBytes += o.InboundBytes
	s.InboundBudgetBytes += o.InboundBudgetBytes
	s.Buffers = s.Buffers.Add(o.Buffers)
	return s
}

func (d DeflateStats) plus(o DeflateStats) DeflateStats {
	d.Conns += o.Conns
	d.MessagesIn += o.MessagesIn
	d.WireBytesIn += o.WireBytesIn
	d.BytesIn += o.BytesIn
	d.MessagesOut += o.MessagesOut
	d.WireBytesOut += o.WireBytesOut
	d.BytesOut += o.BytesOut
	return d
}

func (t TLSStats) plus(o TLSStats) TLSStats {
	t.Conns += o.Conns
	t.Handshakes += o.Handshakes
	t.Resumed += o.Resumed
	t.Failed = addByKey(t.Failed, o.Failed)
	return t
}

// addByKey is never nil: JSON has {} for an empty tally.
func addByKey[K comparable](a, b map[K]uint64) map[K]uint64 {
	sum := make(map[K]uint64, max(len(a), len(b)))
	maps.Copy(sum, a)
	for k, n := range b {
		sum[k] += n
	}
	return sum
}
