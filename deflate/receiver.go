package deflate

import "github.com/gannet-ws/gannet/pool"

// Receiver inflates the compressed messages of one connection, one after the other (RFC 7692 7.2.2). Make it with
// [Extension.Receiver]; it must not be copied once used. It belongs to whoever reads the connection: no two calls at
// the same time.
//
// Memory: 64 bytes (TestSizes) and, where the peer may take its context over, the last bytes it sent: at most the
// agreed window, taken from the pool with the first compressed message and in powers of two as it fills (10 messages of
// 100 bytes keep 1 KiB). While a message is under way it holds an inflater of about 10 KiB besides, which connections
// share.
type Receiver struct {
	pool     *pool.Pool
	window   window
	inflater *inflater // while a message is under way
	in, out  uint64    // bytes of that message
	ratio    uint32    // 0: no limit
	takeover bool
	tail     uint8 // how much of the tail that RFC 7692 7.2.2 appends has been decoded
	failed   Error
}

// ratioFree is how much a message may inflate to before its ratio counts, in bytes: a few repeated kilobytes reach any
// ratio, and cost nothing.
const ratioFree = 64 << 10

// Inflate decodes one step of a message. src is the next part of its payload, in frames cut anywhere and not masked;
// final says that it is the last part (it may be empty). At most len(dst) bytes are written to dst and never more work
// is done than that and 64 blocks, so the caller decides how much memory and time a message takes.
//
// It returns how many bytes it wrote (dst beyond them may have been overwritten too, so it must be the caller's to
// write), how much of src it consumed, and why it stopped:
//
//   - NeedInput: src is consumed; call again with the next part.
//   - NeedRoom: call again with the rest of src and room in dst. When the message may not become longer, it is too long:
//     with no room left the message ends with Done exactly if it has no further byte.
//   - Yielded: call again with the rest of src, now or in a later turn.
//   - Done: the message is whole. The next call begins the next message.
//
// An error is an [Error]; the connection has to end with its Code. Bytes written with it are those before the error.
// After an error every call returns it.
func (r *Receiver) Inflate(dst, src []byte, final bool) (n, consumed int, step Step, err error) {
	if r.failed != 0 {
		return 0, 0, 0, r.failed
	}
	if r.inflater == nil {
		r.beginMessage()
	}
	p := passage{src: src, dst: dst, window: &r.window}
	step, fault := r.inflater.run(&p)
	r.in += uint64(p.in)
	consumed = p.in
	if final && fault == 0 && step == NeedInput {
		step, fault = r.finish(&p)
	}
	r.out += uint64(p.out)
	if fault == 0 && r.ratio != 0 && r.out > ratioFree && r.out > r.in*uint64(r.ratio) {
		fault = ErrRatio
	}
	if fault != 0 {
		r.fail(fault)
		return p.out, consumed, 0, fault
	}
	if r.takeover || step != Done {
		r.window.write(r.pool, dst[:p.out])
	}
	if step == Done {
		r.endMessage()
	}
	return p.out, consumed, step, nil
}

// finish decides whether the message is whole, with the octets appended that its sender has removed.
func (r *Receiver) finish(p *passage) (Step, Error) {
	if r.tail == 0 && r.inflater.whole() {
		return Done, 0
	}
	p.src, p.in = appendedTail[r.tail:], 0
	step, fault := r.inflater.run(p)
	r.tail += uint8(p.in)
	if fault != 0 || step != NeedInput {
		return step, fault
	}
	if r.inflater.state != atHeader {
		return 0, ErrTruncated
	}
	return Done, 0
}

func (r *Receiver) beginMessage() {
	r.window.unpack(r.pool)
	r.inflater = inflaters.Get().(*inflater)
	r.inflater.begin()
	r.in, r.out, r.tail = 0, 0, 0
}

func (r *Receiver) endMessage() {
	if r.inflater != nil {
		inflaters.Put(r.inflater)
		r.inflater = nil
	}
	if !r.takeover && r.window.buf != nil {
		r.window.forget()
	}
}

func (r *Receiver) fail(e Error) {
	r.Close()
	r.failed = e
}

// InMessage reports whether a message is under way: begun and not Done.
func (r *Receiver) InMessage() bool { return r.inflater != nil }

// Abort gives up the message under way, as if the connection were new: for a connection that ends, and reads on to
// discard. A later compressed message is decoded without what the peer takes over, so its result must not be delivered.
func (r *Receiver) Abort() {
	r.endMessage()
	r.window.forget()
}

// Rest makes an idle connection smaller: its window is kept compressed, in a buffer of a power of two bytes, where that
// is at most half as large, and comes back with the next message. RFC 7692 lets the peer refer to the whole of it at
// any time, so that it cannot be dropped. 32 KiB of JSON become 8 KiB in about 100 microseconds, and come back in 50. It
// does nothing while a message is under way.
func (r *Receiver) Rest() {
	if r.inflater == nil {
		r.window.pack(r.pool)
	}
}

// Held is the memory that the receiver holds beyond itself, in bytes.
func (r *Receiver) Held() int {
	n := r.window.held()
	if r.inflater != nil {
		n += inflaterBytes
	}
	return n
}

// Close gives everything back. The receiver then answers every call as after an error, with ErrTruncated.
func (r *Receiver) Close() {
	r.endMessage()
	r.window.forget()
	if r.failed == 0 {
		r.failed = ErrTruncated
	}
}
