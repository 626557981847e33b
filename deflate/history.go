package deflate

import "math/bits"

// A sender's history is the end of all the compressed messages that it sent: the bytes that the peer's window ends with
// too, so that it may be the dictionary of the next message. Messages sent uncompressed are not in the peer's window (RFC
// 7692 7.2.3.2) and so not here.

// remember adds p at the end. What is kept follows the longest message so far.
func (s *Sender) remember(p []byte) {
	most := s.historyFor(len(p))
	if s.history == nil {
		s.history = s.pool.Get(min(len(p), most))
	}
	h := s.history
	most = max(most, min(cap(h.B), s.mostHistory()))
	if len(p) >= most {
		p = p[len(p)-most:]
	}
	if keep := most - len(p); len(h.B) > keep {
		h.B = h.B[:copy(h.B, h.B[len(h.B)-keep:])]
	}
	h.Append(p)
}

// dictionary is what a message of n bytes may refer to.
func (s *Sender) dictionary(n int) []byte {
	if s.history == nil {
		return nil
	}
	b := s.history.B
	return b[max(0, len(b)-s.historyFor(n)):]
}

// historyFor is how much history a message of n bytes is compressed with. Its price is the same for every message and
// its gain grows with the message: the curve's knee is where the history holds one earlier message of the kind, and the
// next power of two is where that is sure.
func (s *Sender) historyFor(n int) int {
	return min(max(leastHistory, 1<<bits.Len(uint(n+n/4-1))), s.mostHistory())
}

func (s *Sender) mostHistory() int { return min(s.extension.policy.HistoryBytes, 1<<s.windowBits) }

// leastHistory is a few small messages.
const leastHistory = 512
