package netio

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// The phases of a session. The loop moves it from one to the next; anybody may look.
const (
	phaseHello   = iota // a server that waits for the first record, or a client that was not added yet; next: shaking, failed, closed
	phaseShaking        // crypto/tls shakes hands in a coroutine; next: open, failed, closed
	phaseOpen           // next: leaving, closed, or detached
	phaseFailed         // the handshake did; next: leaving, closed
	phaseLeaving        // closed by the engine; what it has for the peer is on its way; next: closed
	phaseClosed         // the descriptor is not ours any more
)

// session is one TLS connection on a Secure.
//
// Its lock orders what crypto/tls seals: the engine's writes come from any goroutine, and crypto/tls itself answers
// while it reads. Whoever holds it calls crypto/tls and the inner Write and nothing else; it is the innermost lock. A goroutine that
// writes holds it while it seals and sends 64 KiB at most. The loop does not wait for it in Read, it tries, and comes again in the next turn (see busy).
type session struct {
	loop      *Secure
	tls       *tls.Conn   // nil before phaseOpen
	config    *tls.Config // nil from phaseOpen on
	transport *Transport  // beneath tls
	own       Transport   // that, unless tls came from elsewhere (Adopt)
	shake     *shake      // nil before the first byte and from phaseOpen on
	phase     atomic.Uint32
	fd        int32
	client    bool

	// The loop's.
	want       Interest      // the engine's
	inner      Interest      // the inner System's
	registered bool          // it is in the inner poller
	stands     bool          // it is in loop.standing
	plain      bool          // tls may hold plaintext
	dry        bool          // in Read: the socket has nothing more
	missed     bool          // somebody had the lock when the loop wanted it
	stalled    bool          // nothing is read until what TLS itself has to say has left
	drains     bool          // in phaseLeaving: our half ends, and what the peer still sends is dropped
	parted     bool          // in phaseLeaving: our half has ended
	ended      bool          // tls has heard of end
	asks       uint8         // in Read: how often tls may yet read the socket by itself
	dropped    int32         // in phaseLeaving: bytes that were
	records    int32         // whole records that tls has not opened yet, at most
	deadline   time.Duration // in phaseLeaving: it ends
	early      []byte        // ciphertext that was read during the handshake, for tls
	end        error         // what the socket says behind early; nil: it has not ended
	lent       *lentBuffer   // memory of the loop's that tls reads into; nil but in Read, and where plaintext was left in it
	part       *part         // memory in which tls has the beginning of a record; nil: tls's own, or none
	readErr    error         // what Read answers from here on

	finWanted atomic.Bool   // CloseWrite was called
	broken    atomic.Bool   // Write answers an error
	pending   atomic.Uint32 // of out: outAny, outOwn

	mu       sync.Mutex
	out      *sealed // sealed, and not yet with the socket; nil when empty
	sent     int32   // bytes of the engine's that were sealed; no more than fullRecordsAfter
	sealing  int32   // bytes of the engine's that are being sealed and are in no record yet; 0: what comes is TLS's own
	gone     int     // plaintext that has left, and was not answered yet
	outErr   error   // what writing met
	overhead uint8   // how much longer a record is than its plaintext; 0: that varies
	straight bool    // the record that comes next goes to the socket at once, with what is sealed before it
	finSeal  bool    // close_notify is sealed: what tls says from here on is dropped
	finDone  bool    // and the inner half is closed
	parting  bool    // tls has sealed an alert that ends the connection
	posted   bool    // posts: it is in the list
}

// add is Add.
func (k *session) add() error {
	if err := k.loop.sys.Add(int(k.fd)); err != nil {
		return err
	}
	k.registered, k.inner, k.want = true, Readable, Readable
	switch {
	case k.phase.Load() != phaseHello: // adopted
	case k.client:
		k.begin()
	case k.shake != nil:
		k.greet(k.shake.in, nil)
	}
	err := k.watch()
	k.stand()
	return err
}

// remove is Remove.
func (k *session) remove() {
	if k.registered {
		k.loop.sys.Remove(int(k.fd))
	}
	k.registered, k.want, k.inner = false, 0, 0
}

// watch has the inner poller tell what the session waits for now. On the loop.
func (k *session) watch() error {
	need := k.need()
	if need == k.inner || !k.registered {
		return nil
	}
	err := k.loop.sys.Interest(int(k.fd), k.inner, need)
	if err == nil {
		k.inner = need
	}
	return err
}

// watchOwn is watch where nobody can be told of an error but by what Read answers.
func (k *session) watchOwn() {
	k.stalled = k.stalled && k.pending.Load()&outOwn != 0
	if err := k.watch(); err != nil && k.readErr == nil {
		k.readErr = err
	}
}

// need is what the session waits for: what the engine does, and what TLS itself needs.
func (k *session) need() (need Interest) {
	waits, own := k.waiting()
	switch k.phase.Load() {
	case phaseHello, phaseShaking:
		if k.wantsMore() {
			need |= Readable
		}
		if waits {
			need |= Writable
		}
	case phaseOpen:
		if k.readErr == nil && !k.stalled {
			need |= k.want & Readable
		}
		if !k.broken.Load() {
			need |= k.want & Writable
		}
		if own {
			need |= Writable
		}
	case phaseFailed:
		if k.finWanted.Load() {
			need |= k.want & Readable
		}
		if waits || own {
			need |= Writable
		}
	case phaseLeaving:
		if k.drains {
			need |= Readable
		}
		if waits {
			need |= Writable
		}
	}
	return need
}

// What waits in out. The loop asks without the lock.
const (
	outAny  = 1 << iota // something
	outOwn              // to whose leaving the session has to see by itself
	outGone             // and of what has left, something was not answered yet
)

// waiting tells whether something sealed waits for room, and whether the session has to see to that by itself.
func (k *session) waiting() (any, own bool) {
	out := k.pending.Load()
	return out&outAny != 0, out&outOwn != 0
}

// noteOut keeps pending right. Under mu.
func (k *session) noteOut() {
	out := uint32(0)
	if k.out != nil {
		if out = outAny; k.out.own > 0 || k.finSeal {
			out |= outOwn
		}
	} else if k.finSeal && !k.finDone {
		out = outOwn
	}
	if k.gone > 0 {
		out |= outGone
	}
	if out != k.pending.Load() {
		k.pending.Store(out)
	}
}

func (k *session) ownWaiting() int {
	if k.pending.Load()&outOwn == 0 {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.out == nil {
		return 0
	}
	return min(k.out.own, len(k.out.b)-k.out.off)
}

// holds tells whether a Read would bring something of which the inner System does not know.
func (k *session) holds() bool {
	return k.readErr != nil || (k.plain || k.records > 0 || k.missed || len(k.early) > 0 || k.end != nil) && !k.stalled
}

// events are those of which the inner System does not know.
func (k *session) events() (ev Event) {
	switch k.phase.Load() {
	case phaseOpen:
		if k.holds() {
			ev |= Readable
		}
		if k.broken.Load() || k.pending.Load()&outGone != 0 {
			ev |= Writable
		}
	case phaseFailed:
		if ev = Writable; !k.finWanted.Load() {
			ev |= Readable
		}
	}
	return ev & k.want
}

// stand puts a session that has something to report by itself into the next turn. On the loop.
func (k *session) stand() {
	if k.stands || !k.registered || k.events() == 0 && !k.missed {
		return
	}
	k.stands = true
	s := k.loop
	if s.standing = append(s.standing, k); len(s.standing) == 1 {
		s.sys.Wake()
	}
}

// post has the loop look at the session. Any goroutine.
func (k *session) post() {
	s := k.loop
	s.posts.Lock()
	first := !k.posted
	if first {
		k.posted = true
		s.posts.list = append(s.posts.list, k)
	}
	s.posts.Unlock()
	if first {
		s.sys.Wake()
	}
}
