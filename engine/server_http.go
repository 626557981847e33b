package engine

import (
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// tlsConn is what is served as wss:.
type tlsConn interface{ ConnectionState() tls.ConnectionState }

// ServeHTTP adopts a connection from a net/http server, or from a router or middleware on one. The request is checked as any other, and
// OnUpgrade runs in the goroutine that called ServeHTTP; so does the wait for whoever decides after Later. The answer leaves by w, with what
// middleware has put into w.Header(): a log sees the status, 101 or another. ServeHTTP returns when that is done; the connection
// is then on a loop, if it is plain TCP or unix, or TLS by WrapListener, and any other kind (another's TLS) is carried by goroutines. What net/http had read ahead is kept,
// and whatever it had set on the connection (deadlines) is undone.
//
// r.RemoteAddr is taken for the peer's address, by Upgrade.RemoteAddr, by Conn.RemoteAddr if it is an IP address, and by
// Options.MaxConnsPerAddress: a middleware that writes there what a header says lets whoever may send that header choose by what
// address he counts. Upgrade.URL is r.URL, which a router may have shortened; Upgrade.Target and Conn.URL are what the client asked for.
//
// It needs HTTP/1.1, and a w that can be hijacked or leads to one by Unwrap, as http.ResponseController has it: else it answers 500.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serveHTTP(w, r) }

func (e *engine) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if err := e.made(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var its *route
	var from httpPeer
	var id uint64
	req, refused := e.checkHTTP(w, r)
	if refused == nil {
		its, refused = e.routeHTTP(r)
	}
	if refused == nil {
		from = e.peerBehind(r, req)
		id, refused = e.admitHTTP(r, from.counts)
	}
	if refused != nil {
		e.refuseHTTP(w, refused)
		return
	}
	v := &visit{engine: e, w: w, r: r, began: time.Now(), conn: e.newInLimbo(id, r, req, from, its)}
	v.upgrade = &Upgrade{conn: v.conn, req: req, request: r}
	defer v.end()
	switch d := v.decide(); {
	case d.refusal != nil:
		e.refuseHTTP(w, d.refusal)
	case d.gone != nil || v.conn.ReadyState() != Connecting:
		panic(http.ErrAbortHandler) // it is reset, as a loop would: net/http knows no other way
	default:
		v.accept()
	}
}

// checkHTTP checks a request as a loop does, and whether its transport can be had.
func (e *engine) checkHTTP(w http.ResponseWriter, r *http.Request) (*handshake.Request, *handshake.Refusal) {
	req, err := handshake.FromHTTP(r, e.conf.headLimits())
	if err != nil {
		return nil, err.(*handshake.Refusal)
	}
	if refused := checkRequest(req); refused != nil {
		return nil, refused
	}
	if e.start() != nil {
		return nil, shuttingDown
	}
	if !hijackable(w) {
		e.log().Error("gannet: ServeHTTP needs a ResponseWriter that can be hijacked (HTTP/1.1), or that leads to one by Unwrap")
		return nil, notHijackable
	}
	return req, nil
}

// notHijackable: what stands between net/http and us (a middleware's ResponseWriter, say)
// hides the connection.
var notHijackable = refusal(500, "not-hijackable", "This server's HTTP layer does not let WebSocket connections through")

// writers calls f with w and each ResponseWriter behind it, until f answers true, and reports whether it did.
func writers(w http.ResponseWriter, f func(http.ResponseWriter) bool) bool {
	for w != nil {
		if f(w) {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
	return false
}

func hijackable(w http.ResponseWriter) bool {
	return writers(w, func(w http.ResponseWriter) bool {
		_, ok := w.(http.Hijacker)
		return ok
	})
}

// writeHeaderNow has writers that put the header off until something is written (gin's) write it.
func writeHeaderNow(w http.ResponseWriter) {
	writers(w, func(w http.ResponseWriter) bool {
		if late, ok := w.(interface{ WriteHeaderNow() }); ok {
			late.WriteHeaderNow()
		}
		return false
	})
}

// refuseHTTP answers as Conn.refuse does, beside what middleware has put into the header.
func (e *engine) refuseHTTP(w http.ResponseWriter, f *handshake.Refusal) {
	e.stats.refusals.add(f.Reason)
	h := w.Header()
	for name := range h {
		if !handshake.MayBeSet(name) || strings.EqualFold(name, "Content-Type") {
			delete(h, name) // Del knows canonical names alone
		}
	}
	for name, value := range f.Fields {
		h.Add(name, value)
	}
	if !f.HasBody() {
		w.WriteHeader(f.Status)
		return
	}
	body := f.AppendBody(nil)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(f.Status)
	_, _ = w.Write(body)
}

// visit is a request by ServeHTTP, until its connection has moved to a loop or will not open.
type visit struct {
	*engine
	w       http.ResponseWriter
	r       *http.Request
	began   time.Time
	conn    *Conn
	upgrade *Upgrade
	asked   bool // OnUpgrade has returned, or panicked
	moved   bool
}

// end is the visit's, however it comes about.
func (v *visit) end() {
	defer v.deciding.Done()
	if v.moved {
		return
	}
	v.upgrade.end(nil)
	v.conn.leaveLimbo(v.upgrade.outcome())
	if !v.asked { // OnUpgrade ended the goroutine: net/http sends only what was flushed
		v.refuseHTTP(v.w, internalError)
		_ = http.NewResponseController(v.w).Flush()
	}
}

// decide asks the user, and waits for whoever decides later.
func (v *visit) decide() *decision {
	v.upgrade.kept.Store(true)
	d := v.consult()
	v.asked = true
	if d == nil {
		d = v.await()
	}
	v.upgrade.end(d.gone)
	// net/http's WriteTimeout may have passed meanwhile.
	_ = http.NewResponseController(v.w).SetWriteDeadline(time.Now().Add(v.conf.HandshakeTimeout))
	return d
}

func (v *visit) consult() *decision {
	id := goroutineID()
	v.deciders.Store(id, nil)
	defer v.deciders.Delete(id)
	return v.conn.consult(v.upgrade)
}

// await waits for a decision, as long as there is something to decide.
func (v *visit) await() *decision {
	patience := time.NewTimer(v.conf.HandshakeTimeout - time.Since(v.began))
	defer patience.Stop()
	u := v.upgrade
	for u.decision.Load() == nil && v.conn.ReadyState() == Connecting && v.conn.todo.Load()&todoAbort == 0 {
		select {
		case <-limboOf(v.conn.loop).woken:
		case <-v.r.Context().Done():
			u.giveUp(clientGone, ErrAbnormal)
		case <-patience.C:
			u.giveUp(decisionTimeout, ErrHandshakeTimeout)
		case <-v.stopping:
			u.giveUp(shuttingDown, ErrTerminated)
		}
	}
	u.giveUp(nil, ErrTerminated) // it was closed, if nobody has decided
	return u.decision.Load()
}

// clientGone is for a context that somebody else than net/http has ended, and for logs: a client that has gone reads nothing.
var clientGone = unavailable("client-gone", "The request was cancelled before somebody had decided about it")

// accept answers 101, and hands the connection to its loop.
func (v *visit) accept() {
	v.setSwitching(v.w.Header())
	v.w.WriteHeader(http.StatusSwitchingProtocols)
	writeHeaderNow(v.w)
	nc, buffered, err := http.NewResponseController(v.w).Hijack() // it flushes the header
	if err != nil {
		v.log().Error("gannet: a ResponseWriter that was to be hijacked refused", "err", err)
		panic(http.ErrAbortHandler) // who has read 101 would go on with frames, and net/http with requests
	}
	early := make([]byte, buffered.Reader.Buffered())
	_, _ = buffered.Reader.Read(early)
	v.moved, v.upgrade.answered = true, true
	v.moveIn(v.upgrade, nc, early)
}

// setSwitching makes h the header of the 101, beside what middleware has put there.
func (v *visit) setSwitching(h http.Header) {
	for name := range h {
		if !handshake.MayBeSet(name) || handshake.DescribesContent(name) {
			delete(h, name)
		}
	}
	a := v.conn.terms(v.upgrade)
	h.Set("Upgrade", "websocket")
	h.Set("Connection", "Upgrade")
	h.Set("Sec-WebSocket-Accept", string(handshake.AcceptKey(nil, v.upgrade.req.Key)))
	if a.protocol != "" {
		h.Set("Sec-WebSocket-Protocol", a.protocol)
	}
	if x := a.deflate.String(); x != "" {
		h.Set("Sec-WebSocket-Extensions", x)
	}
	for _, f := range v.upgrade.header {
		if !handshake.DescribesContent(f.Name) {
			h.Add(f.Name, f.Value)
		}
	}
}

// moveIn moves an answered connection to a native loop if that can be, else to a bridge.
func (e *engine) moveIn(u *Upgrade, nc net.Conn, early []byte) {
	if r, ok := nc.(replayer); ok {
		var rest []byte
		nc, rest = r.unwrap()
		early = append(early, rest...)
	}
	_ = nc.SetDeadline(noDeadline)
	e.conf.buffers().SetOn(nc)
	a := arrival{early: early, upgrade: u}
	if loops := e.takeSocket(nc, &a); len(loops) > 0 {
		if l := leastLoaded(loops); !l.post(task{call: func() { l.adoptReserved(a) }}) {
			_ = l.sys.Abort(a.fd)
			u.conn.leaveLimbo(ErrTerminated)
		}
		return
	}
	l, err := e.bridgeLoop()
	if err != nil || !l.post(task{call: func() { a.fd = l.bridge.Attach(nc); l.adoptReserved(a) }}) {
		_ = nc.Close()
		u.conn.leaveLimbo(ErrTerminated)
	}
}

// takeSocket has a have a socket of nc's own, if one of the loops that it answers can carry that; else there are none.
func (e *engine) takeSocket(nc net.Conn, a *arrival) []*loop {
	loops, socket := e.native, nc
	if t, below, ok := netio.TransportOf(nc); ok {
		loops, _ = e.secureLoops() // without them a bridge carries it
		socket, a.moved = below, t
	}
	if len(loops) == 0 {
		return nil
	}
	fd, ok, err := netio.DupConn(socket)
	if !ok || err != nil {
		return nil
	}
	a.fd = fd
	_ = socket.Close() // the duplicate lives on; TLS does not hear of it
	return loops
}
