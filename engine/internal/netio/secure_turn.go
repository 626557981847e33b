package netio

import (
	"cmp"
	"slices"
	"time"
)

// Run implements System.
func (s *Secure) Run(h Handler) error {
	s.handler = h
	s.takeUp()
	err := s.sys.Run(s)
	s.ended = true
	return err
}

// takeUp goes on where a handler ended its goroutine.
func (s *Secure) takeUp() {
	left := append([]*session{s.telling}, s.serving...)
	s.telling, s.serving = nil, s.serving[:0]
	for _, k := range left {
		if k != nil && s.table.at(int(k.fd)) == k {
			k.stands = false
			k.watchOwn()
			k.stand()
		}
	}
	s.arm()
}

// tell tells the handler, and then sees to what the session itself needs.
func (k *session) tell(ev Event) {
	s := k.loop
	s.telling = k
	s.handler.OnEvent(int(k.fd), ev)
	s.telling = nil
	if s.table.at(int(k.fd)) == k { // the handler has not closed it
		k.watchOwn()
		k.stand()
	}
}

// OnEvent implements Handler: it tells the engine's what is true of the plaintext.
func (s *Secure) OnEvent(fd int, ev Event) {
	k := s.table.at(fd)
	if k == nil {
		s.handler.OnEvent(fd, ev)
		return
	}
	switch k.phase.Load() {
	case phaseOpen, phaseFailed:
		k.onEvent(ev)
	case phaseHello, phaseShaking:
		k.onShakeEvent(ev)
	case phaseLeaving:
		k.onLeaving(ev)
	}
}

// onEvent is OnEvent for a connection whose handshake is over.
func (k *session) onEvent(ev Event) {
	k.onOwnRoom(ev)
	if ev &= k.want; ev != 0 {
		k.tell(ev)
		return
	}
	k.watchOwn()
	k.stand()
}

// onOwnRoom sends what the session has to see to by itself, now that there is room. What the engine has written leaves when it writes, so that it knows at once.
func (k *session) onOwnRoom(ev Event) {
	if ev&Writable != 0 && k.pending.Load()&outOwn != 0 {
		k.advance()
	}
}

// OnWake implements Handler.
func (s *Secure) OnWake() bool {
	s.closeRipe()
	s.serveStanding()
	s.servePosts()
	s.expireLeaving()
	if s.timer != 0 && s.sys.Now() >= s.timer {
		s.timer = 0
	}
	alive := s.handler.OnWake()
	s.arm()
	s.ended = !alive
	return alive
}

// OnBatchEnd implements Handler.
func (s *Secure) OnBatchEnd() {
	s.reading = 0
	s.handler.OnBatchEnd()
}

// serveStanding reports what sessions hold: once a turn, until it is taken.
func (s *Secure) serveStanding() {
	if len(s.standing) == 0 {
		return
	}
	s.serving, s.standing = s.standing, s.serving[:0]
	for i, k := range s.serving {
		s.serving[i] = nil // once, even if the handler does not return
		if k.stands = false; !k.registered {
			continue
		}
		if k.missed {
			k.advance()
		}
		if ev := k.events(); ev != 0 {
			k.tell(ev)
			continue
		}
		k.watchOwn()
		k.stand()
	}
	s.serving = s.serving[:0]
}

// servePosts looks at the sessions that other goroutines have done something for.
func (s *Secure) servePosts() {
	s.posts.Lock()
	list := s.posts.list
	s.posts.list = nil
	for _, k := range list {
		k.posted = false
	}
	s.posts.Unlock()
	for _, k := range list {
		if s.table.at(int(k.fd)) != k {
			continue
		}
		if k.phase.Load() == phaseShaking {
			k.shaken()
		}
		if s.table.at(int(k.fd)) == k {
			k.watchOwn()
			k.stand()
		}
	}
}

// SetTimer implements System.
func (s *Secure) SetTimer(at time.Duration) {
	s.timer = at
	s.arm()
}

// arm sets the inner timer to whichever comes first: the engine's, or the end of a closed connection's time.
func (s *Secure) arm() {
	at := s.timer
	if len(s.leaving) > 0 {
		first := slices.MinFunc(s.leaving, func(a, b *session) int { return cmp.Compare(a.deadline, b.deadline) }).deadline
		if at == 0 || first < at {
			at = first
		}
	}
	if at != s.armed || at != 0 && at <= s.sys.Now() {
		s.armed = at
		s.sys.SetTimer(at)
	}
}

// bury closes a descriptor that has left the poller when no event can name it.
func (s *Secure) bury(fd int, abort bool) {
	s.graves = append(s.graves, grave{fd, abort})
	s.sys.Wake()
}

func (s *Secure) closeRipe() {
	for _, g := range s.graves[:s.ripe] {
		s.release(g)
	}
	s.graves = slices.Delete(s.graves, 0, s.ripe)
	if s.ripe = len(s.graves); s.ripe > 0 {
		s.sys.Wake()
	}
}

func (s *Secure) release(g grave) {
	if s.table.at(g.fd) != nil {
		s.table.set(g.fd, nil)
	}
	if g.abort {
		_ = s.sys.Abort(g.fd)
	} else {
		_ = s.sys.Close(g.fd)
	}
}
