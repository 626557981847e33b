package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// The laws of a connection, kept by a ledger that sees only what both ends see: what the
// handler was told and asked for, and the bytes that the engine handed to the network.

// posting is a message that Send has accepted, or is about to.
type posting struct {
	digest
	asked  bool  // Send has not answered yet
	open   bool  // a NewWriter's, not closed
	frames bool  // a NewWriter's
	cuts   []int // where its fragments ended
	plain  bool  // it must not be compressed
	whole  bool  // a prepared message: it may have been compressed as a whole
	writer *messageWriter
	number uint32 // a broadcast's, until it has come to the connection
}

// begun tells whether a writer's first fragment is on its way, and so no other message can pass it.
func (p *posting) begun() bool { return p.writer != nil && p.writer.out.Begun() }

// ledger is one connection's.
type ledger struct {
	m    *simulation
	id   int
	peer *simPeer
	conn *Conn

	// outbound
	wire     wireScanner
	opener   *simOpener // of a sealed connection
	unleft   []*posting // accepted, in the order they must leave, and not wholly left
	now      digest     // what has left of unleft[0]
	packed   uint64     // as how many bytes, if it is compressed
	frames   int        // in how many frames
	rsv1     bool       // it is
	left     int        // messages that have
	buffered uint64     // what BufferedAmount must be
	asking   int        // Sends under way
	writer   *simWriter
	writing  bool // somebody uses it
	ending   bool // and closes it right now
	closeOut int  // the code of our Close frame, once it is on the wire
	codes    []int
	outAt    time.Duration // when it was
	resetAt  time.Duration // when the peer first saw a reset
	pongs    uint32        // the number of the last ping answered

	// callbacks
	inside              bool
	opened, closed, err bool
	asked               bool // the state left OPEN by a call of ours, which has returned
	delivered           int
	chunks              digest // of the message that OnChunk is in
	pinged              uint32 // the number of the last ping that OnPing told of
	high                bool
	peak                uint64 // of the queue since the last OnHighWater
	over, fell          bool   // the queue passed HighWater, and then reached LowWater, since the last OnDrain
	posted, ran         int
	paused              bool
	event               CloseEvent
	notices
	dialledLaws
}

func (d *ledger) broke(format string, args ...any) {
	d.m.broke("connection %d: %s", d.id, fmt.Sprintf(format, args...))
}

// accept books a message before Send is asked, because part of it may leave inside.
func (d *ledger) accept(k digest) *posting {
	p := &posting{digest: k, asked: true}
	d.m.tell(d, "sends %+v behind %d", k, len(d.unleft))
	d.unleft = append(d.unleft, p)
	d.buffered += uint64(k.n)
	d.asking++
	if d.conn.deflates { // what waits may be compressed before anybody looks
		d.peak = max(d.peak, d.waiting()+uint64(k.n))
	}
	return p
}

// answered corrects the book by what Send answered.
func (d *ledger) answered(p *posting, err error, before ReadyState) {
	d.m.tell(d, "sent %+v: %v", p.digest, err)
	p.asked = false
	d.asking--
	if err != nil {
		d.unbook(p)
	}
	switch err {
	case nil, ErrBufferFull, ErrSlowConsumer:
		if before != Open {
			d.broke("Send in %v answered %v", before, err)
		}
	case ErrClosed:
		if before < Closing {
			d.broke("Send in %v answered ErrClosed", before)
		}
	case ErrInvalidState:
		if before != Connecting {
			d.broke("Send in %v answered ErrInvalidState", before)
		}
	default:
		d.broke("Send answered %v", err)
	}
	if err != nil && err != ErrClosed {
		d.buffered -= uint64(p.n) // in CLOSING and CLOSED it counts all the same
	}
	if err == ErrSlowConsumer {
		d.tooSlow()
	}
	if err == ErrBufferFull { // OnDrain follows, so OnHighWater comes first
		d.peak, d.over = max(d.peak, uint64(d.conn.limits.Load().HighWater)+1), true
	}
	if d.conn.deflates { // Send may have made slices first, to make way: it fell before this one was queued
		d.watchQueue(p.n + codec.MaxHeaderSize)
	}
	d.checkBuffered()
}

func (d *ledger) unbook(p *posting) {
	if i := slices.Index(d.unleft, p); i >= 0 {
		d.unleft = slices.Delete(d.unleft, i, i+1)
		return
	}
	d.broke("a message left that Send refused")
}

// tooSlow: a Send closed the connection.
func (d *ledger) tooSlow() {
	d.asked = true
	d.codes = append(d.codes, StatusTryAgainLater)
}

// checkBuffered compares BufferedAmount with what was accepted and has not wholly left.
func (d *ledger) checkBuffered() {
	if d.asking != 0 || d.conn.loop.secure != nil && d.m.holding(d) { // the carrier sends what it has sealed, and nobody can be told before the lock is free
		return
	}
	d.hear()
	if d.conn.out.Buffered() != d.buffered {
		d.broke("BufferedAmount is %d, accepted and not left are %d", d.conn.out.Buffered(), d.buffered)
	}
}

// waiting is what counts against HighWater and LowWater. A long message alone is no queue.
func (d *ledger) waiting() uint64 {
	return d.conn.out.Account().Mark
}

// watchQueue notes how far the queue has grown and fallen, given what is leaving right now.
func (d *ledger) watchQueue(leaving int) {
	q := d.waiting()
	d.peak = max(d.peak, q)
	l := d.conn.limits.Load()
	d.over = d.over || q > uint64(l.HighWater) || d.conn.holds.Load()&(heldByHigh|overHigh) != 0 // it may pass it for a moment, while slices are made
	if q -= min(q, uint64(leaving)); d.over && q <= uint64(l.LowWater) {
		d.over, d.fell = false, true
	}
}

// onWire is called with every byte that the network takes.
func (d *ledger) onWire(p []byte) {
	if d.opener != nil {
		p = d.opener.open(p)
	}
	if d.conn != nil {
		d.watchQueue(len(p))
	}
	d.wire.feed(p)
}

func (d *ledger) onHead(head string) {
	if d.ask != nil {
		d.asks(head)
	}
}

func (d *ledger) onIllegal(what string) { d.broke("the wire shows %s", what) }

func (d *ledger) onFrame(op Opcode, fin, rsv1 bool, n uint64) {
	if d.closeOut != 0 {
		d.broke("a data frame follows the Close frame")
	}
	if len(d.unleft) == 0 {
		d.broke("a data frame of %d bytes that nobody sent", n)
		return
	}
	if p := d.unleft[0]; op != 0 && p.open && !p.begun() && len(d.unleft) > 1 && d.conn.ReadyState() != Open {
		d.unleft = d.unleft[1:] // closing passes a writer by of which nothing has left
	}
	p := d.unleft[0]
	if op != 0 {
		d.now, d.rsv1, d.packed, d.frames = digest{op: op}, rsv1, 0, 0
		if op != p.op {
			d.broke("a message of opcode %d leaves, the next one is of %d", op, p.op)
		}
	}
	if long := d.rsv1 && p.n > d.m.engine.conf.slice; (!fin || op == 0) && !p.frames && !long {
		d.broke("a message is fragmented that no NewWriter made")
	}
	d.frames++
	if d.packed += n; d.rsv1 {
		d.checkCompressed(p, op, fin)
	}
}

// checkCompressed: a frame of a compressed message begins.
func (d *ledger) checkCompressed(p *posting, op Opcode, fin bool) {
	k := d.m.engine.conf
	switch {
	case p.plain || !p.frames && p.n < k.deflateMin:
		d.broke("a message of %d bytes is compressed, and must not be", p.n)
	case op != 0 && fin && d.packed >= uint64(p.n) && k.Deflate.Takeover != deflate.OwnCompressor:
		d.broke("a message of %d bytes is compressed to %d", p.n, d.packed)
	case fin && !p.frames && p.n > k.slice && (d.frames > 1 || !p.whole) && (d.frames > 1) != (int64(d.packed) > k.frame):
		d.broke("a message leaves in %d frames of %d bytes together; one may have %d", d.frames, d.packed, k.frame)
	case op == 0 && p.frames && !p.flushedAt(d.now.n, k.slice):
		d.broke("of what was written the peer can inflate %d bytes; it was flushed at %d", d.now.n, p.cuts)
	}
}

// flushedAt: a Write was over with the nth byte, or one of its slices was.
func (p *posting) flushedAt(n, slice int) bool {
	from := 0
	for _, cut := range p.cuts {
		if cut <= n {
			from = cut
		}
	}
	return (n-from)%slice == 0
}

func (d *ledger) onData(p []byte) { d.now.add(p) }

func (d *ledger) onMessageEnd() {
	if len(d.unleft) == 0 {
		return
	}
	p := d.unleft[0]
	d.m.tell(d, "%+v has left", d.now)
	if d.now != p.digest {
		d.broke("a message leaves as %+v, the next one is %+v", d.now, p.digest)
	}
	d.unleft = d.unleft[1:]
	if p.number == 0 && !d.departed() { // else nobody has counted it yet, or nobody hears of it any more
		d.buffered -= uint64(p.n)
	}
	d.left++
}

func (d *ledger) onControl(op Opcode, body []byte) {
	if d.closeOut != 0 {
		d.broke("a control frame follows the Close frame")
	}
	switch op {
	case OpPong:
		if len(body) < 4 {
			d.broke("a pong of %d bytes", len(body))
			return
		}
		k := binary.BigEndian.Uint32(body)
		if k <= d.pongs || k > d.peer.pings {
			d.broke("the pong to ping %d, after the one to %d, of %d pings", k, d.pongs, d.peer.pings)
		}
		d.pongs = k
	case OpClose:
		if d.terminated {
			d.broke("a Close frame leaves after Terminate")
		}
		d.closeOut = StatusNoStatusRcvd
		if len(body) >= 2 {
			d.closeOut = int(binary.BigEndian.Uint16(body))
		}
		d.outAt = d.m.world.Clock()
		d.checkClose()
	}
}

// checkClose: our Close frame is on the wire.
func (d *ledger) checkClose() {
	if k := d.overtaken(); k > 0 {
		d.broke("the Close frame overtakes %d messages", k)
	}
	codes := append(d.codes, d.peer.closeCode, d.peer.broke, StatusGoingAway)
	if d.m.tightBudget || d.asking > 0 { // a Send may find the peer too slow
		codes = append(codes, StatusTryAgainLater)
	}
	if !slices.Contains(codes, d.closeOut) {
		d.broke("our Close frame says %d, of %v", d.closeOut, codes)
	}
}

// overtaken is how many messages should have left before our Close frame: all but an
// unfinished one and those behind it. One that has not begun holds nobody up.
func (d *ledger) overtaken() (n int) {
	for _, p := range d.unleft {
		if p.open && p.begun() {
			return n
		}
		if !p.open && !p.asked && p.number == 0 {
			n++
		}
	}
	return n
}

// checkTended: between turns everything that waits has somebody who will go on with it.
// Without this the next Send would hide what was forgotten.
func (d *ledger) checkTended() {
	c := d.conn
	if d.m.holding(d) || c.todo.Load() != 0 || c.phase == phaseBuried {
		return // who has the lock, or the loop when it serves its letters
	}
	if o := c.out.Account(); o.Queued > 0 && !o.Failed && !(c.phase == phaseHearing && c.flags&enqueued != 0) { // else it is about to fail
		if !o.Blocked {
			d.broke("%d bytes wait and nobody will send them", o.Queued)
		} else if c.flags&writeWanted == 0 {
			d.broke("the socket was full and nobody waits for room")
		}
	}
	d.checkLong()
	if in := c.in; in != nil && in.pongOwed && c.ReadyState() == Open && !c.out.PongAwaited() {
		d.broke("nobody will answer the newest ping")
	}
	if c.owed.Load() != 0 {
		d.broke("the loop is owed %b, nobody has the lock", c.owed.Load())
	}
	if c.ReadyState() == Open && d.opened && !c.timer.Scheduled() && c.flags&timerDue == 0 {
		d.broke("OPEN without a timer")
	}
	if c.phase != phaseDialing && c.watched != c.wanted() {
		d.broke("watched for %b, waits for %b (flags %b)", c.watched, c.wanted(), c.flags)
	}
}

// checkLong: a long message has somebody who goes on with it, and what waits behind it waits
// for something.
func (d *ledger) checkLong() {
	o := d.conn.out.Account()
	switch {
	case o.Failed:
	case o.Turns && !o.Blocked && (o.Long > 0 || !o.Awaits) && d.conn.flags&enqueued == 0:
		d.broke("%d bytes of a long message wait and nobody will compress them", o.Long)
	case !o.Turns && d.conn.out.CloseWaits():
		d.broke("the Close frame waits behind nothing")
	case o.Stuck:
		d.broke("%d messages wait behind nothing", o.Deferred)
	}
	if in := d.conn.in; in != nil && in.Assembled() > simMaxMessage {
		d.broke("%d bytes of a message are assembled, the limit is %d", in.Assembled(), simMaxMessage)
	}
}

// checkReset: closing a socket with unread input resets it, and the reset may overtake what
// was sent. So our Close frame comes before the end of the stream, whatever the peer still
// sends, if the peer takes it within lingerTime.
func (d *ledger) checkReset() {
	p := d.peer
	if d.resetAt != 0 || !p.sawRST {
		return
	}
	d.resetAt = d.m.world.Now()
	if d.closeOut == 0 || !d.closed || p.closeRead || p.end.Broken() || d.resetAt-d.outAt >= lingerTime {
		return
	}
	var why *CloseError
	if d.event.WasClean || errors.As(d.event.Err, &why) && why.Code != StatusAbnormalClosure {
		d.broke("a reset eats our Close frame (%+v)", d.event)
	}
}

// enter begins a callback, which leave ends: they never overlap.
func (d *ledger) enter(what string) {
	if d.inside {
		d.broke("%s inside another callback", what)
	}
	d.inside = true
	if d.m.callbacks++; d.m.callbacks > simCallbacks {
		d.m.quiet = true // or it never ends
		d.broke("%d callbacks in one run", simCallbacks)
	}
	early := what == "a posting" || d.ask != nil && (what == "OnError" || what == "OnClose")
	if d.closed != (what == "OnClose") || !d.opened && !early {
		d.broke("%s; OnOpen before: %v, OnClose: %v", what, d.opened, d.closed)
	}
	if !d.m.holding(d) {
		if !d.conn.mu.TryLock() {
			d.broke("%s runs with the connection's lock held", what)
			return
		}
		d.conn.mu.Unlock()
	}
}

func (d *ledger) leave() { d.inside = false }

func (d *ledger) onOpen() {
	if d.opened {
		d.broke("OnOpen twice")
	}
	d.opened = true
	d.enter("OnOpen")
	if s := d.conn.ReadyState(); s != Open && !d.asked { // others may have closed it already
		d.broke("OnOpen in %v", s)
	}
	if d.ask != nil {
		d.checkOpened()
	}
}

func (d *ledger) onMessage(got digest) {
	d.enter("OnMessage")
	if s := d.conn.ReadyState(); s != Open {
		d.broke("OnMessage in %v", s)
	}
	if d.asked {
		d.broke("OnMessage after Close returned")
	}
	if d.delivered >= len(d.peer.sent) {
		d.broke("OnMessage with a message that the peer did not send")
		return
	}
	if want := d.peer.sent[d.delivered]; got != want {
		d.broke("message %d arrives as %+v, was %+v", d.delivered, got, want)
	}
	d.delivered++
}

func (d *ledger) onPing(p []byte) {
	d.enter("OnPing")
	d.pinged++
	if k := binary.BigEndian.Uint32(p); k != d.pinged {
		d.broke("OnPing tells of ping %d, the next one is %d", k, d.pinged)
	}
}

// told: a worker tells the handler, some time, of what may have happened again meanwhile.
func (d *ledger) told() bool { return d.m.engine.workers != nil }

func (d *ledger) onHighWater() {
	d.enter("OnHighWater")
	d.watchQueue(0)
	if d.high {
		d.broke("OnHighWater twice")
	}
	late := d.told() || d.m.explores // it may have passed HighWater twice before the first time was told
	if limit := uint64(d.conn.limits.Load().HighWater); d.peak <= limit && !late {
		d.broke("OnHighWater, but at most %d bytes were queued (HighWater %d)", d.peak, limit)
	}
	d.high, d.peak = true, 0
}

func (d *ledger) onDrain() {
	d.enter("OnDrain")
	if !d.high {
		d.broke("OnDrain without OnHighWater")
	}
	low := uint64(d.conn.limits.Load().LowWater)
	if d.conn.deflates {
		low += outgoing.SliceBytes // one that is made and not queued yet is counted nowhere
	}
	if !d.fell && d.waiting() > low && !d.told() {
		d.broke("OnDrain, but the queue has not fallen to LowWater (%d) since it passed HighWater", d.conn.limits.Load().LowWater)
	}
	d.high, d.fell = false, false
}

func (d *ledger) onError(err error) {
	d.enter("OnError")
	if s := d.conn.ReadyState(); s != Closed || d.err || err == nil {
		d.broke("OnError(%v) in %v; before: %v", err, s, d.err)
	}
	d.err = true
}

func (d *ledger) onClose(e CloseEvent) {
	if d.closed {
		d.broke("OnClose twice: %+v, then %+v", d.event, e)
	}
	d.closed, d.event = true, e
	d.enter("OnClose")
	if s := d.conn.ReadyState(); s != Closed {
		d.broke("OnClose in %v", s)
	}
	if e.WasClean != (e.Err == nil) {
		d.broke("%+v", e)
	}
	d.checkError(e)
	if !d.opened {
		d.checkNeverOpened(e)
	}
	if !e.WasClean {
		return
	}
	if d.closeOut == 0 || !d.peer.closeSent {
		d.broke("%+v, but our Close frame left: %v, the peer sent one: %v", e, d.closeOut != 0, d.peer.closeSent)
	}
	if k := d.overtaken(); k > 0 {
		d.broke("closed cleanly with %d messages unsent", k)
	}
}

// checkSettled: the machine behaves, the peers have read all and sent what they had to send.
func (d *ledger) checkSettled() {
	c := d.conn
	if c != nil {
		d.checkAttempts()
	}
	if c == nil || !d.opened {
		return
	}
	if s := c.ReadyState(); s == Open || s == Closed {
		d.checkWaiters()
	}
	switch c.ReadyState() {
	case Open:
		d.checkQuietOpen()
	case Closing:
		if !d.peer.deafClose {
			d.broke("the closing handshake does not end; our Close left: %v, peer: %v", d.closeOut != 0, d.peer)
		}
	case Closed:
		if !d.closed {
			d.broke("CLOSED without OnClose")
		}
	}
}

func (d *ledger) checkQuietOpen() {
	c, p := d.conn, d.peer
	switch {
	case p.broke != 0:
		d.broke("the peer's violation (%d) is not noticed", p.broke)
	case p.dead || !p.polite || p.closeSent:
		d.broke("OPEN, but the peer has gone or closed")
	case d.delivered != len(p.sent):
		d.broke("%d of %d messages were delivered", d.delivered, len(p.sent))
	case len(d.unleft) != 0 || p.end.Waiting() != 0:
		d.broke("%d messages have not left", len(d.unleft))
	case c.BufferedAmount() != 0:
		d.broke("BufferedAmount is %d when all has left", c.BufferedAmount())
	case d.pinged != p.pings || d.pongs != p.pings:
		d.broke("%d pings were sent, %d noticed, the last one answered is %d", p.pings, d.pinged, d.pongs)
	case d.ponged != p.ponged:
		d.broke("OnPong told of %d of %d pongs", d.ponged, p.ponged)
	case d.high:
		d.broke("the queue is empty, OnDrain was not called")
	case d.ran != d.posted:
		d.broke("%d of %d postings ran", d.ran, d.posted)
	case !c.out.Idle() || (c.in != nil) != p.hoarding || c.opening != nil:
		d.broke("an idle connection keeps buffers: out %v, in %v, opening %v", !c.out.Idle(), c.in != nil, c.opening != nil)
	}
}

// checkPatience: ten minutes have passed, in which the peer answered pings, or did not.
func (d *ledger) checkPatience(wasOpen bool) {
	p := d.peer
	open := d.conn != nil && d.conn.ReadyState() == Open
	switch {
	case d.conn != nil && !open && (d.opened || d.ask != nil) && !d.closed:
		d.broke("%v for ten minutes", d.conn.ReadyState())
	case open && p.silent:
		d.broke("OPEN although the peer answered no ping for ten minutes")
	case wasOpen && !open && !p.silent:
		d.broke("closed although the peer answered every ping: %+v", d.event)
	case open && d.conn.deflation.Load() != nil && d.conn.deflation.Load().use.Load() != useNone:
		d.broke("it does not rest, used %d", d.conn.deflation.Load().use.Load())
	}
}

// checkEnd: all is over.
func (d *ledger) checkEnd() {
	c, p := d.conn, d.peer
	if c == nil {
		return
	}
	if d.closed != (d.opened || d.ask != nil) {
		d.broke("OnOpen: %v, OnClose: %v", d.opened, d.closed)
	}
	if s := c.ReadyState(); s != Closed {
		d.broke("%v at the end", s)
	}
	d.checkBuffered()
	if !c.out.Idle() || c.in != nil || c.opening != nil || c.owed.Load() != 0 {
		d.broke("closed, but keeps: out %v, in %v, opening %v, owed %b", !c.out.Idle(), c.in != nil, c.opening != nil, c.owed.Load())
	}
	if p.broke != 0 && d.event.WasClean {
		d.broke("the peer's violation (%d) ended cleanly: %+v", p.broke, d.event)
	}
	if !d.event.WasClean || !p.polite || p.end.Broken() {
		return
	}
	if p.sawRST || !p.closeRead {
		d.broke("closed cleanly, but the peer saw a reset: %v, our Close: %v", p.sawRST, p.closeRead)
	}
	if want := d.left; p.received != want {
		d.broke("closed cleanly, but the peer received %d of %d messages", p.received, want)
	}
}
