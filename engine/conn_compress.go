package engine

import (
	"slices"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// Who decides whether a message is compressed (RFC 7692 7.2.1). How, and in which order, is outgoing's.

// compressAs tells how a message of n bytes (-1: not known yet) with these options is to be compressed; the zero value: not.
// Any goroutine, without the lock: Options.Compress is the user's code.
func (c *Conn) compressAs(op Opcode, n int, opts []SendOption) (as deflate.Agreement) {
	if c.ReadyState() != Open || !c.deflates || slices.Contains(opts, NoCompress) {
		return as
	}
	e := c.loop.engine
	if n >= 0 && n < e.conf.deflateMin || !e.choosesCompress(op, n) {
		return as
	}
	return c.agreed.Value().deflate
}

// choosesCompress asks Options.Compress; its panic, or its end of the goroutine, must not cost a loop.
func (e *engine) choosesCompress(op Opcode, n int) (yes bool) {
	if e.conf.Compress == nil {
		return true
	}
	asking := true
	defer func() {
		if asking {
			yes = false
			r := recover()
			l := e.loopHere()
			if r == nil && (l != nil && l.inCallback || e.onWorker()) {
				return // it is the callback's end as well
			}
			e.blamedFor("Options.Compress", "the message is sent as it is", r)
			if r == nil && l != nil {
				l.exits(nil)
			}
		}
	}()
	yes = e.conf.Compress(op, n)
	asking = false
	return yes
}

// ownCompressor tells whether connections with this agreement keep a compressor, which does not forget what it has read.
func (e *engine) ownCompressor(a deflate.Agreement) bool {
	return outgoing.OwnCompressor(e.conf.deflate, a)
}
