package netio

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
)

// helloLimit is how much of a handshake may lie unread. A whole flight of the largest certificates that crypto/tls accepts comes in parts.
// It is firstLimit until crypto/tls has begun to read: many may wait for a processor then, and a first record is all that they can have to say.
const (
	helloLimit = 64 << 10
	firstLimit = recordHeader + recordPlain
)

// shake is a handshake under way. crypto/tls latches the errors of a handshake, so it cannot be told to come again; it runs in
// a coroutine over memory, which gives its processor back whenever it has no bytes to go on with.
type shake struct {
	of     *session
	behind *shake // in a queue of Handshakes
	tls    *tls.Conn
	resume chan struct{}    // goes on with the coroutine; nil before its first step
	paused chan struct{}    // it waits for bytes; closed: it has ended
	err    error            // the coroutine's result
	alert  byte             // that it has sent in plaintext
	last   [alertBytes]byte // the last bytes that tls has read

	// Under the session's lock.
	in     []byte // arrived
	off    int    // in[:off] is with tls
	end    error  // what the socket says behind it
	taken  bool   // tls has begun to read
	idle   bool   // the coroutine waits for bytes, and is in no queue
	closed bool   // nobody wants it any more
	done   bool   // it has ended
	full   bool   // the loop has stopped to read
}

// begin starts crypto/tls. On the loop.
func (k *session) begin() {
	if k.shake == nil {
		k.shake = &shake{of: k}
	}
	h := k.shake
	if k.client {
		h.tls = tls.Client(k.transport, k.config)
	} else {
		h.tls = tls.Server(k.transport, k.config)
	}
	k.transport.shake = h
	k.phase.Store(phaseShaking)
	k.loop.shakes.submit(h, true)
}

// goOn is the coroutine, a goroutine that runs while step waits for it. The runtime's own coroutines (package iter) end the process when a callback
// of the tls.Config leaves its goroutine locked to a thread (runtime.LockOSThread).
func (h *shake) goOn() {
	defer close(h.paused)
	h.err = errGoexit
	h.err = h.run()
}

// pause gives the processor back until the next step. In the coroutine.
func (h *shake) pause() {
	h.paused <- struct{}{}
	<-h.resume
}

// errGoexit: runtime.Goexit was called.
var errGoexit = errors.New("a callback of the tls.Config ended its goroutine")

// run is the coroutine. A callback of the tls.Config may panic.
func (h *shake) run() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a handshake: %v\n%s", p, debug.Stack())
		}
	}()
	return h.tls.HandshakeContext(context.Background())
}

// step lets the handshake compute until it waits for bytes or ends, and reports whether it can go on at once. Any goroutine, one at a time.
func (h *shake) step() (again bool) {
	if h.resume == nil {
		h.resume, h.paused = make(chan struct{}), make(chan struct{})
		go h.goOn()
	} else {
		h.resume <- struct{}{}
	}
	if _, waits := <-h.paused; !waits {
		h.ends()
		return false
	}
	k := h.of
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.full {
		k.post()
	}
	if h.closed || h.off < len(h.in) || h.end != nil {
		return true
	}
	h.idle = true
	return false
}

// ends tells the loop that the coroutine has ended.
func (h *shake) ends() {
	h.of.mu.Lock()
	h.done = true
	h.of.mu.Unlock()
	h.of.post()
}

// read is the transport's Read, in the coroutine.
func (h *shake) read(p []byte) (int, error) {
	k := h.of
	for {
		k.mu.Lock()
		n, end, closed := copy(p, h.in[h.off:]), h.end, h.closed
		h.off += n
		h.taken = true
		k.mu.Unlock()
		switch {
		case closed:
			return 0, net.ErrClosed
		case n > 0:
			h.noteLast(p[:n])
			return n, nil
		case end != nil:
			return 0, end
		}
		h.pause()
	}
}

// write is the transport's Write, in the coroutine: it sends, and leaves to the loop what has no room.
func (h *shake) write(p []byte) (int, error) {
	k := h.of
	if a := plainAlert(p); a != 0 {
		h.alert = a
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.closed {
		return 0, net.ErrClosed
	}
	k.place(p)
	k.flush()
	if k.noteOut(); k.out != nil {
		k.post()
	}
	return len(p), nil
}

// wantsMore tells whether the loop should read. It does not while the coroutine has enough, nor behind the end.
func (k *session) wantsMore() bool {
	h := k.shake
	if h == nil {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	limit := helloLimit
	if !h.taken {
		limit = firstLimit
	}
	h.full = len(h.in)-h.off >= limit
	return !h.full && h.end == nil
}

// onShakeEvent reads for a handshake, and sends what waits.
func (k *session) onShakeEvent(ev Event) {
	k.onOwnRoom(ev)
	if ev&Readable != 0 {
		k.receive()
	}
	k.watchOwn()
	k.stand()
}

// receive takes what has arrived.
func (k *session) receive() {
	for k.phase.Load() <= phaseShaking && k.wantsMore() {
		p := k.loop.scratchpad()
		n, err := k.loop.sys.Read(int(k.fd), p)
		if err == ErrAgain {
			return
		}
		k.arrived(p[:n], err)
		if err != nil || n < len(p) {
			return
		}
	}
}

// arrived gives the handshake bytes, or the end of them.
func (k *session) arrived(p []byte, end error) {
	if k.shake == nil {
		k.shake = &shake{of: k}
	}
	h := k.shake
	k.mu.Lock()
	if h.off > 0 {
		h.in, h.off = append(h.in[:0], h.in[h.off:]...), 0
	}
	h.in = append(h.in, p...)
	h.end = end
	goes := h.idle
	h.idle = false
	k.mu.Unlock()
	switch {
	case goes:
		k.loop.shakes.submit(h, false)
	case k.phase.Load() == phaseHello:
		k.greet(h.in, end)
	}
}

// scratchpad is for bytes that are copied or dropped at once.
func (s *Secure) scratchpad() []byte {
	if s.scratch == nil {
		s.scratch = make([]byte, 16<<10)
	}
	return s.scratch
}

// shaken looks whether the handshake has ended. On the loop.
func (k *session) shaken() {
	h := k.shake
	k.mu.Lock()
	done := h.done
	k.mu.Unlock()
	switch {
	case !done:
	case h.err != nil:
		h.hearPlainAlert()
		k.fail(h.reason(), h.err)
	default:
		k.opened()
	}
}

// opened: the handshake succeeded. On the loop.
func (k *session) opened() {
	h := k.shake
	if h.off < len(h.in) {
		k.early = append([]byte(nil), h.in[h.off:]...)
	}
	k.end = h.end
	k.tls, k.transport.shake = h.tls, nil
	k.shake, k.config = nil, nil
	k.mu.Lock()
	k.takeStock()
	k.dropBuffers()
	k.mu.Unlock()
	counts := &k.loop.shakes.Counts
	counts.Done.Add(1)
	state := k.tls.ConnectionState()
	k.overhead = overheadOf(state)
	if state.DidResume {
		counts.Resumed.Add(1)
	}
	k.phase.Store(phaseOpen)
}

// fail ends the handshake with an error. On the loop.
func (k *session) fail(why HandshakeReason, err error) {
	k.loop.shakes.Counts.Failed[why].Add(1)
	k.readErr = &HandshakeError{why, err}
	k.ended = k.shake != nil && k.shake.end != nil
	k.mu.Lock()
	k.parting = why.hasWords()
	k.mu.Unlock()
	k.shake, k.config = nil, nil
	k.phase.Store(phaseFailed)
}

// abandon ends a handshake that nobody wants any more. On the loop.
func (k *session) abandon() {
	if k.phase.Load() <= phaseShaking {
		k.cancel()
		k.loop.shakes.Counts.Failed[HandshakeAbandoned].Add(1)
	}
}

// cancel ends the coroutine in its next step, which comes at once if it waits for bytes.
func (k *session) cancel() {
	h := k.shake
	if h == nil {
		return
	}
	k.mu.Lock()
	idle := h.idle
	h.idle, h.closed = false, true
	k.mu.Unlock()
	if idle {
		k.loop.shakes.submit(h, false)
	}
}

// Expire ends a handshake that is under way because its time is over: Read answers a *HandshakeError of HandshakeTimeout from here on.
func (s *Secure) Expire(fd int) {
	k := s.table.at(fd)
	if k == nil || k.phase.Load() > phaseShaking {
		return
	}
	k.cancel()
	k.fail(HandshakeTimeout, os.ErrDeadlineExceeded)
	k.watchOwn()
	k.stand()
}

// shed fails a handshake that waited behind too many. Any goroutine.
func (h *shake) shed() {
	h.err = errShed
	h.ends()
}

// errShed: see Handshakes.
var errShed = errors.New("too many handshakes wait for a processor")

// greet looks at a server's first bytes. On the loop.
func (k *session) greet(in []byte, end error) {
	switch {
	case len(in) > 0 && in[0] != recordHandshake:
		switch plain := looksLikeHTTP(in); {
		case plain == yes:
			k.answerHTTP()
		case plain == no || end != nil:
			k.fail(HandshakeNotTLS, fmt.Errorf("first record does not look like a TLS handshake (% x)", in[:min(len(in), 8)]))
		}
	case len(in) >= recordHeader && (len(in)-recordHeader >= int(in[3])<<8|int(in[4]) || int(in[3])<<8|int(in[4]) > recordPlain):
		k.begin()
	case end == io.EOF && len(in) > 0:
		k.fail(HandshakeEnded, io.ErrUnexpectedEOF)
	case end != nil:
		k.fail(HandshakeEnded, end)
	}
}

// answerHTTP answers a request in plaintext as net/http does, whose words these are.
func (k *session) answerHTTP() {
	k.mu.Lock()
	k.place([]byte("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"))
	k.flush()
	k.noteOut()
	k.mu.Unlock()
	k.fail(HandshakePlainHTTP, errPlainHTTP)
}

var errPlainHTTP = errors.New("client sent an HTTP request to an HTTPS server")
