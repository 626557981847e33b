package netio

import (
	"errors"
	"io"
	"runtime"
	"time"
)

// ownLimit is how many bytes crypto/tls may have to say by itself before the peer is not read any more: a peer that
// asks for key updates (RFC 8446 4.6.3), each of which is answered, and does not read would fill our memory.
const ownLimit = 4 << 10

// A Read is part of a turn, so it ends after readTime though more records are there: one may carry a byte, and 15 KeyUpdates before it, each of which costs new
// keys, and another one in answer if it asks for that. The clock is looked at once in recordsPerLook records, which are 64 at worst; what is answered ends
// a Read at once. When others have taken readsTime in the same look at the poller, a Read ends at the first look: a thousand busy peers do not hold up
// the loop for half a second.
const (
	readTime       = time.Millisecond / 2
	readsTime      = 8 * readTime
	recordsPerLook = 4
)

// crypto/tls reads on by itself while records bring nothing for the engine: parts of a message of the handshake's, a byte in each, are 256 KiB of plaintext and 6 MB of
// records. So it may read the socket asksPerRecord times for a record, and once where the loop reads for it (fill), for a record that is longer than any
// part; then it is the next turn's. Nothing that a peer has to say behind a handshake is longer than mostMessage: session tickets, and key updates.
const (
	asksPerRecord = 4
	mostMessage   = 64 << 10
)

var errLongMessage = errors.New("tls: a message behind the handshake is too long")

// read is the engine's Read.
func (k *session) read(p []byte) (int, error) {
	switch k.phase.Load() {
	case phaseOpen:
	case phaseFailed:
		return k.readFailed()
	default:
		return 0, ErrAgain
	}
	if len(p) == 0 {
		return 0, nil
	}
	if k.readErr != nil {
		return 0, k.readErr
	}
	if !k.tryLock() {
		return 0, ErrAgain
	}
	n, err := k.readLocked(p)
	if k.out != nil && k.out.own > 0 {
		k.flush()
	}
	k.stalled = k.out != nil && k.out.own > ownLimit
	k.noteOut()
	k.mu.Unlock()
	if k.stalled || k.pending.Load()&outOwn != 0 { // a writer may have sent it by now
		k.watchOwn()
	}
	k.stand()
	return n, err
}

// readFailed is Read behind a handshake that failed: why it did, and behind CloseWrite the end, before which what still comes is dropped.
func (k *session) readFailed() (int, error) {
	if !k.finWanted.Load() {
		return 0, k.readErr
	}
	for range 4 {
		p := k.loop.scratchpad()
		n, err := k.loop.sys.Read(int(k.fd), p)
		if err != nil {
			k.ended = k.ended || err != ErrAgain
			return 0, err
		}
		if n < len(p) {
			break
		}
	}
	return 0, ErrAgain
}

// tryLock takes the lock for the loop, or has the loop try again in the next turn. Whoever holds it seals at
// most 64 KiB; the loop lets him run, if he waits for this processor, and does not wait for him.
func (k *session) tryLock() bool {
	if k.missed = !k.mu.TryLock(); k.missed {
		runtime.Gosched()
		if k.missed = !k.mu.TryLock(); k.missed {
			k.stand()
		}
	}
	return !k.missed
}

// readLocked opens records until p is full, or there is none left that is whole. Under mu.
func (k *session) readLocked(p []byte) (total int, err error) {
	k.dry = false
	fills := k.loop.fields.proved
	var until time.Duration
	for opened := 1; total < len(p); opened++ {
		if k.out != nil && k.out.own > ownLimit {
			if k.flush(); k.out != nil {
				break
			}
		}
		k.asks = asksPerRecord
		if fills {
			k.asks = 1
			if !k.plain && k.records == 0 && !k.fill() {
				break
			}
		}
		n, err := k.open(p[total:])
		total += n
		if err == errDry {
			break
		}
		if err != nil {
			k.readErr = err
			k.plain, k.records, k.early, k.end = false, 0, nil, nil
			break
		}
		if k.dry && !k.plain && k.records == 0 {
			break // asking tls would cost an allocation
		}
		if k.ownAnswers() || opened%recordsPerLook == 0 && k.spent(&until) {
			break
		}
	}
	if fills {
		k.takeBack()
	}
	switch {
	case total > 0:
		return total, nil
	case k.readErr != nil:
		return 0, k.readErr
	}
	return 0, ErrAgain
}

// ownAnswers tells whether crypto/tls had something to say. Under mu.
func (k *session) ownAnswers() bool { return k.out != nil && k.out.own > 0 }

// spent tells whether the time of a Read is over. The first look sets when it will be.
func (k *session) spent(until *time.Duration) bool {
	s := k.loop
	now := s.sys.Now()
	switch {
	case *until == 0 && s.reading < readsTime:
		*until = now + readTime
		return false
	case *until > now:
		return false
	}
	s.reading += readTime
	return true
}

// open is one read of crypto/tls: one record's plaintext, or what is left of it. It keeps count of what tls holds: each
// record counts once, unless tls has asked for more, for then it has opened all.
func (k *session) open(p []byte) (int, error) {
	held, asked := k.plain, k.transport.whole
	k.transport.whole = -1 // unless it asks
	n, err := k.tls.Read(p)
	if k.transport.whole >= 0 {
		k.records, held = k.transport.whole, false
	} else {
		k.transport.whole = asked
	}
	if n > 0 && !held && k.records > 0 {
		k.records--
	}
	k.plain = n == len(p)
	if err == nil {
		if k.loop.fields.proved {
			k.takeStock()
		}
		return n, nil
	}
	if err == errDry {
		k.records, k.plain = 0, false
		if k.tooLong() {
			return n, errLongMessage
		}
		return n, errDry
	}
	return n, k.endOf(err)
}

// tooLong tells whether tls has more of a message than it may. Under mu.
func (k *session) tooLong() bool {
	if !k.loop.fields.proved {
		return false
	}
	_, hand, _ := k.loop.fields.of(k.tls)
	return hand.Len() > mostMessage
}

// endOf is what the end of the stream means. crypto/tls says io.EOF for a stream that ends between two records as well, which
// anybody on the way can bring about: only close_notify ends it cleanly (RFC 8446 6.1).
func (k *session) endOf(err error) error {
	switch {
	case !k.ended:
	case k.end != io.EOF:
		return k.end // the socket's own, not wrapped
	case err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	if k.out != nil && k.out.own > 0 {
		k.parting = true
	}
	return err
}

// fetch is the transport's Read on a loop. Under mu.
func (k *session) fetch(p []byte) (int, error) {
	if len(k.early) > 0 {
		n := copy(p, k.early)
		if k.early = k.early[n:]; len(k.early) == 0 {
			k.early = nil
		}
		return n, nil
	}
	if k.end != nil {
		k.ended = true
		return 0, k.end
	}
	if k.dry || k.asks == 0 {
		return 0, errDry
	}
	k.asks--
	n, err := k.loop.sys.Read(int(k.fd), p)
	switch err {
	case nil:
		k.dry = n < len(p)
		return n, nil
	case ErrAgain:
		k.dry = true
		return 0, errDry
	}
	k.end, k.ended = err, true
	return 0, err
}
