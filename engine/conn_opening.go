package engine

import (
	"net/http"
	"sync"
	"unique"
	"unsafe"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/pool"
)

// opening is what a connection needs while its opening handshake is unfinished.
type opening struct {
	parser handshake.Parser
	buf    *pool.Buffer // the request's head so far, and what came with it
	req    handshake.Request
	taken  int        // bytes of buf that the head took
	late   *Upgrade   // whose decision is awaited
	past   bool       // the PROXY header was taken
	dial   *dialState // a client's
	budget holding    // what of InboundBudget it holds
}

var openingPool = sync.Pool{New: func() any { return new(opening) }}

func (c *Conn) dropOpening() {
	o := c.opening
	if o == nil {
		return
	}
	c.opening = nil
	o.budget.set(c, 0)
	if o.buf != nil {
		o.buf.Release()
	}
	if o.late != nil {
		o.late.end(nil)
	}
	o.req.Reset()
	*o = opening{req: o.req}
	openingPool.Put(o)
}

// begun tells whether something of a request has come: a PROXY header is none of it.
func (o *opening) begun(k *config) bool {
	return o.late != nil || len(o.buf.B) > 0 && (o.past || !k.ProxyProtocol)
}

func (k *config) headLimits() handshake.Limits {
	return handshake.Limits{MaxBytes: k.MaxHandshakeBytes}
}

// feedHandshake takes bytes of the opening handshake. It returns what came behind the
// request: the first frames, if the connection is OPEN now.
func (c *Conn) feedHandshake(b []byte) []byte {
	if c.flags&dialled != 0 {
		return c.feedAnswer(b)
	}
	l := c.loop
	if c.opening == nil && !l.engine.conf.ProxyProtocol {
		var p handshake.Parser
		n, err := p.Parse(b, &l.req, l.engine.conf.headLimits())
		if n > 0 || err != nil {
			return c.onRequest(&l.req, b, n, err)
		}
		c.keepHead(b).parser = p
		return nil
	}
	o := c.keepHead(b)
	if !o.past && l.engine.conf.ProxyProtocol && !c.takeProxyHeader(o) {
		return nil
	}
	n, err := o.parser.Parse(o.buf.B, &o.req, l.engine.conf.headLimits())
	if n == 0 && err == nil {
		return nil
	}
	return c.onRequest(&o.req, o.buf.B, n, err)
}

// keepHead appends b to the head that is kept.
func (c *Conn) keepHead(b []byte) *opening {
	if c.opening == nil {
		c.opening = openingPool.Get().(*opening)
	}
	if c.opening.buf == nil {
		c.opening.buf = c.loop.engine.pool.Get(max(len(b), 1024))
	}
	c.opening.buf.Append(b)
	c.opening.charge(c)
	return c.opening
}

// onRequest decides about a parsed request, whose head is the first n bytes of b.
func (c *Conn) onRequest(req *handshake.Request, b []byte, n int, err error) []byte {
	e := c.loop.engine
	if err != nil {
		c.refuse(err.(*handshake.Refusal))
		return nil
	}
	if e.conf.Fallback != nil && !req.IsHandshake() {
		c.handOver(b)
		return nil
	}
	if !c.takeForwarded(req) {
		return nil
	}
	if refused := checkRequest(req); refused != nil {
		c.refuseTo(req, refused)
		return nil
	}
	path, refused := c.takeRoute(req)
	if refused != nil {
		c.refuse(refused)
		return nil
	}
	return c.decide(req, path, b, n)
}

// decide decides about an opening handshake whose route was found.
func (c *Conn) decide(req *handshake.Request, path *http.Request, b []byte, n int) []byte {
	if r := c.route(); r.hooks.upgrade == nil && r.entrance.check == nil {
		c.loop.plain = Upgrade{conn: c, req: req} // nobody sees it: it need not be new
		if refused := c.loop.plain.enter(); refused != nil {
			c.refuse(refused)
			return nil
		}
		c.open(&c.loop.plain)
		return b[n:]
	}
	return c.ask(&Upgrade{conn: c, req: req, head: b[:n], path: path}, b, n)
}

// checkRequest decides, for both doors, whether a request is a legal opening handshake: nil, or its refusal.
func checkRequest(req *handshake.Request) *handshake.Refusal {
	if err := handshake.CheckUpgrade(req); err != nil {
		return err.(*handshake.Refusal)
	}
	return nil
}

// ask lets the user decide about a handshake.
func (c *Conn) ask(u *Upgrade, b []byte, n int) []byte {
	asked := false
	defer func() {
		if !asked { // OnUpgrade ended the goroutine
			u.end(nil)
			c.refuse(internalError)
		}
	}()
	c.agreed = unique.Make(agreement{host: view(u.req.Host), target: view(u.req.Target), tls: c.flags&overTLS != 0})
	d := c.consult(u)
	asked = true
	if d == nil {
		c.await(u, b, n)
		return nil
	}
	u.end(nil) // what it is a view of is about to be reused
	switch {
	case d.refusal != nil:
		c.refuse(d.refusal)
	case d.gone != nil:
		c.finish(closing{code: StatusAbnormalClosure, err: d.gone, abort: true, local: true})
	case c.open(u):
		return b[n:]
	}
	return nil
}

// consult runs the user's code, and returns what it decided; nil if that comes later. It is for both doors: c is on its loop, or in
// its limbo. A panic refuses the request (500), but that of http.ErrAbortHandler, with which a handler of net/http says that
// it wants no answer and no log: it ends the connection. When the user's code ends the goroutine consult does not return, and
// whoever called it refuses the request as it goes.
func (c *Conn) consult(u *Upgrade) (d *decision) {
	e, w := c.loop.engine, &c.loop.watched
	w.deciding.Store(c)
	asking := true
	defer func() {
		w.deciding.Store(nil)
		if asking {
			r := recover()
			if r == nil {
				c.loop.exits(c)
			}
			if r == http.ErrAbortHandler {
				d = &decision{gone: ErrTerminated}
			} else {
				_ = e.blamed(c, r)
				d = &decision{refusal: internalError}
			}
		}
		if d != nil {
			u.decision.CompareAndSwap(nil, d) // no other is taken any more
		}
	}()
	refused := u.enter()
	if refused == nil && c.route().hooks.upgrade != nil {
		c.route().hooks.upgrade(u)
	}
	asking = false
	if refused != nil {
		return &decision{refusal: refused}
	}
	if d = u.decision.Load(); d == nil && !u.later {
		d = u.acceptance()
	}
	return d
}

// await keeps what came behind a request until somebody decides about it. Nothing is
// read meanwhile: the rest waits in the kernel.
func (c *Conn) await(u *Upgrade, b []byte, n int) {
	if c.opening == nil {
		c.keepHead(b[n:])
	} else {
		c.opening.taken = n // b is what it keeps
	}
	c.opening.late = u
	c.opening.charge(c)
	c.flags |= pausedByWork
	if c.watch(); c.phase == phaseBuried {
		return
	}
	u.kept.Store(true)
	if u.decision.Load() != nil { // decided while the hook still ran
		c.decideLate()
	} else {
		c.onConnectingTimer() // it looks whether the client stays
	}
}

// leftBeforeOpen ends the handshake of a client that has gone, or has ended its half of the stream: without that
// it can not send a Close frame any more (RFC 6455 7.1.2), whatever it sent behind its request.
func (c *Conn) leftBeforeOpen() bool {
	switch err := c.loop.sys.Probe(int(c.fd)); err {
	case nil, netio.ErrAgain:
		return false
	}
	c.loop.engine.stats.refusals.add("client-gone")
	c.finish(closing{code: StatusAbnormalClosure, err: ErrAbnormal, abort: true})
	return true
}

// decideLate acts on a decision made by Upgrade.Accept or Refuse from elsewhere.
func (c *Conn) decideLate() {
	if c.opening == nil || c.opening.late == nil || c.ReadyState() != Connecting {
		return
	}
	o := c.opening
	u := o.late
	d := u.decision.Load()
	if d == nil {
		return
	}
	c.flags &^= pausedByWork
	if d.refusal != nil {
		c.refuse(d.refusal)
		return
	}
	// Ours from here on: OnOpen may end the connection, and with it what opening holds.
	buf, taken := o.buf, o.taken
	o.buf = nil
	defer buf.Release() // OnOpen may end the goroutine
	c.dropOpening()
	if c.open(u) && len(buf.B) > taken {
		c.loop.feed(c, buf.B[taken:])
	} else {
		c.settle()
	}
	c.watch()
}

// open answers 101, where ServeHTTP has not, and calls OnOpen, unless the user has closed the connection to be.
func (c *Conn) open(u *Upgrade) bool {
	l := c.loop
	a := c.terms(u)
	var room [512]byte
	answer := room[:0]
	if !u.answered {
		var extensions [deflate.MaxText]byte
		answer = handshake.AppendSwitching(answer, u.req.Key, a.protocol, view(a.deflate.Append(extensions[:0])), l.date.at(l.now), u.header)
	}
	return c.becomeOpen(a, u.value, answer)
}

// becomeOpen opens a connection whose handshake is over, but for the answer, if that is ours to send, and calls OnOpen; unless the
// user has closed it meanwhile.
func (c *Conn) becomeOpen(a agreement, value any, answer []byte) bool {
	l := c.loop
	c.lock()
	if c.ReadyState() != Connecting {
		c.unlock()
		return false
	}
	if l.engine.workers == nil {
		c.enter() // the answer leaves with what OnOpen sends
	}
	c.agreed = unique.Make(a)
	if len(answer) > 0 {
		c.out.Raw(c.outCall(), answer)
	}
	if value != nil {
		c.SetValue(value)
	}
	c.asked = c.announced()
	c.out.Skip(c.asked)
	if !c.state.CompareAndSwap(uint32(Connecting), uint32(Open)) { // closed meanwhile
		c.out.Drop()
		c.unlock()
		return false
	}
	c.phase = phaseOpen
	if l.engine.workers != nil {
		c.flushCork() // the cork is the worker's from here on
	}
	c.unlock()
	c.times.begin(l.now)
	l.engine.stats.connecting.Add(-1)
	l.engine.stats.open.Add(1)
	l.engine.stats.opened.Add(1)
	l.engine.countDeflate(a.deflate, 1)
	c.call(c.opens())
	if l.engine.closing.Load() {
		c.closeGoingAway()
	}
	c.reschedule()
	return true
}

// terms are what a connection that is accepted agrees on: the 101 says so. Host and target are views: unique.Make copies what it
// keeps, so that a million connections to one URL share one copy and their handshakes leave no garbage.
func (c *Conn) terms(u *Upgrade) agreement {
	a := agreement{host: view(u.req.Host), target: view(u.req.Target), protocol: u.protocol, tls: c.flags&overTLS != 0}
	if x := c.loop.engine.conf.deflate; x != nil && !u.plain {
		a.deflate, c.deflates = x.Negotiate(u.req.Extensions)
	}
	return a
}

// view is b as a string that must not outlive b.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
