package netio

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// outLimit is how many written bytes a carried connection holds before it answers
	// ErrAgain: four full TLS records.
	outLimit = 64 << 10
	// smallRead is what an idle connection's reader waits with. A read that fills its
	// buffer is followed by one of bigRead from the pool, one that does not by a small
	// one again: an idle connection rarely keeps a big one, and a bulk transfer over
	// TLS, whose reads end with a record of 16 KiB, stays with it.
	smallRead = 2 << 10
	bigRead   = 16 << 10
	// lingerTime bounds how long Close goes on delivering.
	lingerTime = 10 * time.Second
	// brokenTime is how long a connection whose writes fail may still be read, so that
	// what the peer said before it left arrives (its Close frame, say).
	brokenTime = time.Second
)

// The buffers of busy connections.
var (
	outPool = sync.Pool{New: func() any { return new([outLimit]byte) }}
	inPool  = sync.Pool{New: func() any { return new([bigRead]byte) }}
)

// carried is one connection on a Bridge. Its reader and writer end when conn is closed;
// whoever releases the descriptor sees to that.
type carried struct {
	bridge *Bridge
	conn   net.Conn
	fd     int

	queued bool     // bridge.mu: in the ready queue
	behind *carried // bridge.mu: next in it

	mu       sync.Mutex
	mayRead  sync.Cond // the reader waits: for interest, and for in to be taken
	mayWrite sync.Cond // the writer waits: for out, fin or release
	watched  Interest

	in    []byte // arrived and not taken; lies in the reader's buffer, which waits
	inErr error  // what a read meets behind in

	out     *[outLimit]byte // written and not yet with the writer; nil when empty
	outLen  int
	flying  int    // bytes that the writer has in a call of conn.Write
	passed  uint64 // bytes that such calls have taken
	outErr  error  // what writing met; out is dropped from then on
	fin     bool   // CloseWrite was called
	finDone bool

	detached bool   // Detach: conn goes on elsewhere
	late     []byte // read while Detach was under way

	carriers sync.WaitGroup // the reader and the writer
	released bool           // Close or Abort: nobody asks any more
	aborted  bool
	linger   *time.Timer // ends a Close that takes too long
}

func newCarried(b *Bridge, c net.Conn) *carried {
	k := &carried{bridge: b, conn: c}
	k.mayRead.L = &k.mu
	k.mayWrite.L = &k.mu
	return k
}

// watch sets the interest, 0 for a removed descriptor.
func (k *carried) watch(now Interest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched = now
	if now&Readable != 0 {
		k.mayRead.Signal()
	}
	k.reportLocked()
}

// events is what the handler should hear now.
func (k *carried) events() Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.eventsLocked()
}

// requeue brings a connection that is still ready back in the next turn.
func (k *carried) requeue() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reportLocked()
}

func (k *carried) eventsLocked() Event {
	var ev Event
	if len(k.in) > 0 || k.inErr != nil {
		ev |= Readable
	}
	// Like a kernel, it calls for more when half is free, not at every byte.
	if k.outErr != nil || k.roomLocked() >= outLimit/2 {
		ev |= Writable
	}
	return ev & k.watched
}

func (k *carried) reportLocked() {
	if k.eventsLocked() != 0 {
		k.bridge.enqueue(k)
	}
}

func (k *carried) roomLocked() int { return outLimit - k.outLen - k.flying }

// take is the loop's Read.
func (k *carried) take(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.in) == 0 {
		if k.inErr != nil {
			return 0, k.inErr
		}
		return 0, ErrAgain
	}
	n := copy(p, k.in)
	k.in = k.in[n:]
	if len(k.in) == 0 {
		k.mayRead.Signal()
	}
	return n, nil
}

// put is the engine's Write and Writev.
func (k *carried) put(v ...[]byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.outErr != nil {
		return 0, k.outErr
	}
	if k.fin {
		return 0, io.ErrClosedPipe
	}
	total, asked := 0, 0
	for _, p := range v {
		asked += len(p)
		total += k.appendLocked(p)
	}
	if total == 0 && asked > 0 {
		return 0, ErrAgain
	}
	k.mayWrite.Signal()
	return total, nil
}

func (k *carried) appendLocked(p []byte) int {
	n := min(len(p), k.roomLocked())
	if n == 0 {
		return 0
	}
	if k.out == nil {
		k.out = outPool.Get().(*[outLimit]byte)
	}
	copy(k.out[k.outLen:], p[:n])
	k.outLen += n
	return n
}

// finish is the engine's CloseWrite.
func (k *carried) finish() error {
	if _, ok := k.conn.(closeWriter); !ok {
		return errors.ErrUnsupported
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fin = true
	k.mayWrite.Signal()
	return k.outErr
}

func (k *carried) probe() error {
	k.mu.Lock()
	err := k.inErr
	if err == nil {
		err = k.outErr
	}
	k.mu.Unlock()
	if err != nil {
		return err
	}
	return probeConn(k.conn)
}

func (k *carried) arriving() bool {
	k.mu.Lock()
	reads := k.watched&Readable != 0 && len(k.in) == 0 && k.inErr == nil
	k.mu.Unlock()
	return reads && unreadConn(k.conn) > 0
}

func (k *carried) unacked() (waiting int, taken uint64) {
	k.mu.Lock()
	waiting, taken = k.outLen+k.flying, k.passed
	k.mu.Unlock()
	below, acked, counts := unackedConn(k.conn)
	if counts {
		taken = acked
	}
	return waiting + below, taken
}

// close leaves the rest to the writer, and stops waiting for it in the end: conn's Close
// is what ends a blocked Write, whatever kind of connection it is.
func (k *carried) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.outLen+k.flying > 0 {
		k.linger = time.AfterFunc(k.bridge.linger, k.abort)
	}
	k.releaseLocked()
}

// abort closes from a goroutine of its own: the Close of some conn may block, and the
// writer may be inside a call that only this Close ends.
func (k *carried) abort() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.aborted = true
	k.dropLocked()
	k.releaseLocked()
	go resetConn(k.conn)
}

func (k *carried) releaseLocked() {
	k.released, k.watched, k.in = true, 0, nil
	k.mayRead.Signal()
	k.mayWrite.Signal()
}

// dropLocked forgets what was written and not yet given to the writer.
func (k *carried) dropLocked() {
	if k.out != nil {
		outPool.Put(k.out)
		k.out, k.outLen = nil, 0
	}
}
