package incoming

import "github.com/gannet-ws/gannet/deflate"

const (
	// StepBytes is what one step inflates at most, a tenth of a millisecond, and what a message may be long to be
	// delivered without a buffer.
	StepBytes = 64 << 10
	// wireWork: the codes of a block without content take 25 ns for each of their bytes, so that a byte that was read
	// is as much work as four that were made.
	wireWork = 4
	// mostGrowth and its companion bound what a compressed message may take on the wire: a sender that flushes after
	// every byte makes eleven of it where it stores (RFC 1951 3.2.4), else seven.
	mostGrowth     = 16
	mostGrowthBase = 1 << 10
	// maxFrame is the longest frame, compressed or not, whatever MaxMessageSize lets a compressed message take on the
	// wire: most peers count a frame's bytes in 31 bits. What a sender stores of the longest message takes 160 KiB more
	// than the message, so fragments together may pass it.
	maxFrame = 1<<31 - 1
)

// inflation is where a compressed message stands.
type inflation struct {
	agreed     deflate.Agreement
	receiver   *deflate.Receiver // nil before the connection's first compressed message
	compressed bool              // the message under way is
	final      bool              // midStep: the piece is the message's last
	ahead      int               // midStep: how much of the piece stands, unmasked, at the start of the next b
	inflated   uint64            // bytes of the message so far
}

// Receiver is what the connection receives with. It keeps the peer's window, which the connection needs as long as it
// lives: give it to Begin again. nil before the first compressed message.
func (in *In) Receiver() *deflate.Receiver { return in.receiver }

// inflate takes one piece of a compressed message (RFC 7692 7.2.2), unmasked, as far as one step goes: of nothing, when all
// of the piece was used and had more in it than there was room for. What there is of the message is delivered by the chunk,
// or when it is whole.
func (in *In) inflate(p []byte, final bool, lim *Limits, e *Event) error {
	if in.receiver == nil {
		r := in.lane.Deflate.Receiver(in.agreed, in.lane.Pool)
		in.receiver = &r
	}
	dst := in.inflateRoom(lim)
	n, k, step, err := in.receiver.Inflate(dst, p, final)
	in.inflated += uint64(n)
	e.Work = n + wireWork*k
	count := &in.lane.Inflated
	count.Wire += uint64(k)
	count.Bytes += uint64(n)
	if err != nil {
		return err
	}
	if err := in.takeInflated(dst[:n], step == deflate.Done, e); err != nil {
		return err
	}
	switch step {
	case deflate.Done:
		count.Messages++
	case deflate.NeedRoom, deflate.Yielded:
		if len(dst) == 0 && step == deflate.NeedRoom { // MaxMessageSize is full, and there is more
			return ErrTooLarge
		}
		in.ways |= midStep
		in.final, in.ahead = final, len(p)-k
	}
	return nil
}

// inflateRoom is where the next bytes of a message go: up to MaxMessageSize, which may be nowhere. Short messages, and
// chunks, stay in the lane's own room.
func (in *In) inflateRoom(lim *Limits) []byte {
	left, most := uint64(0), uint64(lim.MaxMessageSize)
	if most > in.inflated {
		left = min(most-in.inflated, StepBytes)
	}
	if in.msg == nil {
		if in.lane.scratch == nil {
			in.lane.scratch = make([]byte, StepBytes)
		}
		return in.lane.scratch[:left]
	}
	have := uint64(len(in.msg.B))
	if uint64(cap(in.msg.B))-have < min(left, firstBytes) {
		in.msg.GrowWithin(int(min(left, max(firstBytes, have))), int(most)) // as makeRoom does
	}
	return in.msg.B[have:min(uint64(cap(in.msg.B)), have+left)]
}

// takeInflated takes what was added to a message.
func (in *In) takeInflated(added []byte, last bool, e *Event) error {
	switch {
	case in.ways&chunking != 0:
		return in.chunk(added, last, e)
	case in.msg == nil && last:
		return in.whole(added, e)
	case len(added) == 0 && !last:
		return nil
	case in.msg == nil:
		in.msg = in.lane.Pool.Get(max(len(added), firstBytes))
		in.msg.B = append(in.msg.B, added...)
	default:
		in.msg.B = in.msg.B[:len(in.msg.B)+len(added)]
	}
	return in.assembled(added, last, e)
}

// nextStep goes on with the piece that the last step ended in, which is at the start of b.
func (in *In) nextStep(b []byte, lim *Limits, e *Event) (n int, err error) {
	n = in.ahead
	in.ways &^= midStep
	in.ahead = 0
	if in.ways&discarding != 0 {
		return n, nil
	}
	err = in.inflate(b[:n], in.final, lim, e)
	return n - in.ahead, err
}

// MaxWire is how many bytes a compressed message may take on the wire, all its frames together.
func (l *Limits) MaxWire() uint64 { return uint64(l.MaxMessageSize)*mostGrowth + mostGrowthBase }
