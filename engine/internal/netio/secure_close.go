package netio

import (
	"slices"
	"time"
)

const (
	// drainTime and drainBytes bound how long the peer of a failed handshake may go on sending after our last words: as long as
	// somebody reads what it sends, no reset takes them away from it.
	drainTime  = 2 * time.Second
	drainBytes = 256 << 10
	// mostLeaving is how many closed connections a loop waits for at most; then the oldest is reset.
	mostLeaving = 1024
)

// closeWrite is the engine's CloseWrite.
func (k *session) closeWrite() error {
	if k.phase.Load() <= phaseShaking {
		return k.loop.sys.CloseWrite(int(k.fd))
	}
	k.finWanted.Store(true)
	err := k.advance()
	k.watchOwn()
	return err
}

// advance sends what waits, and ends our half if that is wanted. The loop comes again if somebody has the lock.
func (k *session) advance() error {
	if !k.tryLock() {
		return nil
	}
	defer k.mu.Unlock()
	if k.finWanted.Load() {
		k.sealEnd()
	}
	k.flush()
	if k.finSeal && k.out == nil && !k.finDone {
		k.finDone = true
		if k.outErr == nil {
			k.outErr = k.loop.sys.CloseWrite(int(k.fd))
		}
	}
	k.noteOut()
	return k.outErr
}

// sealEnd seals close_notify behind what is sealed. Under mu.
func (k *session) sealEnd() {
	if !k.finSeal && k.outErr == nil {
		if k.tls != nil {
			_ = k.tls.CloseWrite() // it fails if an alert has ended our half before
		}
		k.finSeal = true
	}
}

// close is the engine's Close, and its Abort.
func (k *session) close(abort bool) error {
	k.abandon()
	if k.says(abort) {
		k.leave()
		return nil
	}
	k.phase.Store(phaseClosed)
	k.loop.table.set(int(k.fd), nil)
	if abort {
		return k.loop.sys.Abort(int(k.fd))
	}
	return k.loop.sys.Close(int(k.fd))
}

// says seals and sends the last that there is to say, and tells whether the peer has to be waited for.
func (k *session) says(abort bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !abort && k.phase.Load() == phaseOpen {
		k.sealEnd()
	}
	k.flush()
	k.drains = k.parting && k.outErr == nil && !k.ended
	stays := k.drains || !abort && k.out != nil
	if !stays {
		k.dropOut()
	}
	k.noteOut()
	return stays
}

// leave lets a closed connection deliver what it has.
func (k *session) leave() {
	s := k.loop
	k.phase.Store(phaseLeaving)
	k.tls, k.early, k.lent, k.part, k.missed = nil, nil, nil, nil, false
	k.deadline = s.sys.Now() + s.linger
	if s.leaving = append(s.leaving, k); len(s.leaving) > mostLeaving {
		s.leaving[0].depart(true)
	}
	if !s.ended {
		k.stay()
	}
}

// stay puts it into the poller again.
func (k *session) stay() {
	if err := k.loop.sys.Add(int(k.fd)); err != nil {
		k.depart(true)
		return
	}
	k.registered, k.inner = true, Readable
	k.deliver()
	k.loop.arm()
}

// onLeaving goes on when there is room, or when the peer has sent something.
func (k *session) onLeaving(ev Event) {
	if ev&Readable != 0 && k.drains && k.drain() {
		k.depart(false)
		return
	}
	k.deliver()
}

// deliver sends what is left, then ends our half if the peer's is awaited, else all.
func (k *session) deliver() {
	k.mu.Lock()
	k.flush()
	k.noteOut()
	sent, failed := k.out == nil, k.outErr != nil
	k.mu.Unlock()
	switch {
	case failed:
		k.depart(true)
		return
	case sent && !k.drains:
		k.depart(false)
		return
	case sent && !k.parted:
		k.parted = true
		if !k.finDone {
			_ = k.loop.sys.CloseWrite(int(k.fd))
		}
		k.deadline = min(k.deadline, k.loop.sys.Now()+drainTime)
		k.loop.arm()
	}
	if k.watch() != nil {
		k.depart(true)
	}
}

// drain drops what the peer sends, and reports whether that is to end.
func (k *session) drain() (ends bool) {
	n, err := k.loop.sys.Read(int(k.fd), k.loop.scratchpad())
	k.dropped += int32(n)
	return err != nil && err != ErrAgain || k.dropped >= drainBytes
}

// depart ends a closed connection: all was delivered, or its time is over.
func (k *session) depart(abort bool) {
	s := k.loop
	k.remove()
	k.phase.Store(phaseClosed)
	k.mu.Lock()
	k.dropOut()
	k.mu.Unlock()
	if i := slices.Index(s.leaving, k); i >= 0 {
		s.leaving = slices.Delete(s.leaving, i, i+1)
	}
	s.bury(int(k.fd), abort)
}

// expireLeaving ends those whose time is over.
func (s *Secure) expireLeaving() {
	if len(s.leaving) == 0 {
		return
	}
	now := s.sys.Now()
	for i := len(s.leaving) - 1; i >= 0; i-- { // who departs leaves the list
		if k := s.leaving[i]; now >= k.deadline {
			k.depart(k.pending.Load()&outAny != 0)
		}
	}
}

// Release implements System. What closed connections still have to deliver a goroutine of its own delivers, and then frees the poller.
func (s *Secure) Release() error {
	s.ripe = 0
	for _, g := range s.graves {
		s.release(g)
	}
	s.graves = nil
	if len(s.leaving) == 0 {
		return s.sys.Release()
	}
	s.ended = false
	s.shakes.start(func() {
		s.Wake() // for the first look at what is there to do
		_ = s.Run(farewell{s})
		for _, k := range slices.Clone(s.leaving) { // the poller failed
			k.depart(true)
		}
		for _, g := range s.graves {
			s.release(g)
		}
		_ = s.sys.Release()
	})
	return nil
}

// farewell is the handler of a loop whose engine has gone.
type farewell struct{ s *Secure }

func (farewell) OnEvent(int, Event) {}
func (farewell) OnBatchEnd()        {}

func (f farewell) OnWake() bool {
	for _, k := range slices.Clone(f.s.leaving) {
		if !k.registered {
			k.stay()
		}
	}
	return len(f.s.leaving) > 0 || len(f.s.graves) > 0
}
