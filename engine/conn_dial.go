package engine

import (
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// The race of addresses on a native loop: each attempt is a socket that connects without blocking, and a slot in the loop's
// table; the wheel's timer goes with the newest of them. Where a goroutine makes the transport it is in client_race.go. What comes before
// and after is in client_dials.go.

// attempt is a socket that is connecting.
type attempt struct {
	fd int
	to netio.Target
}

// connectStagger is how long a target has before the next one is tried beside it (RFC 8305 5).
const connectStagger = 250 * time.Millisecond

// beginDial tries targets. On the loop.
func (c *Conn) beginDial(targets []netio.Target) {
	if c.ReadyState() != Connecting {
		return // todoAbort is on its way
	}
	c.loop.look()
	c.opening.dial.targets = targets
	c.tryNext()
	c.settle()
}

// tryNext tries targets until one is under way. With none left, and nothing under way, the connection fails.
func (c *Conn) tryNext() {
	d := c.opening.dial
	for trying := true; trying && len(d.targets) > 0; {
		to := d.targets[0]
		d.targets = d.targets[1:]
		trying = !c.try(to)
	}
	if len(d.attempts) == 0 {
		c.failDial(d.whyNot())
	} else {
		c.loop.schedule(c, c.dialDue())
	}
}

// try begins to connect to a target, and reports whether that is under way.
func (c *Conn) try(to netio.Target) bool {
	l, d := c.loop, c.opening.dial
	fd, err := l.sys.(netio.Connector).Connect(to)
	if err == nil {
		if err = l.sys.Interest(fd, 0, netio.Writable); err != nil {
			_ = l.sys.Abort(fd)
		}
	}
	if err != nil {
		d.note(to, err)
		return false
	}
	d.stagger = l.now + connectStagger
	if len(d.attempts) > 0 { // the clock goes with the newest one
		l.wheel.Cancel(c.fd)
	}
	if d.attempts == nil {
		d.attempts = d.first[:0]
	}
	d.attempts = append(d.attempts, attempt{fd, to})
	l.table.set(fd, c)
	c.fd = int32(fd)
	return true
}

// note keeps what an address said.
func (d *dialState) note(to netio.Target, err error) {
	d.tried = append(d.tried, &addrError{targetName(to), err})
}

// whyNot is the error of a connection that no address has made.
func (d *dialState) whyNot() error {
	return d.tried.forAddr(d.target())
}

// dialDue is when the dial is looked at next.
func (c *Conn) dialDue() time.Duration {
	d := c.opening.dial
	if len(d.targets) > 0 {
		return min(d.due, d.stagger)
	}
	return d.due
}

// onAttempt is what the poller tells of an attempt.
func (c *Conn) onAttempt(fd int) {
	l, d := c.loop, c.opening.dial
	for _, a := range d.attempts {
		if a.fd != fd {
			continue
		}
		if d.securing {
			c.shakeHands(a)
			break
		}
		switch err := l.sys.(netio.Connector).Connected(fd, a.to); err {
		case netio.ErrAgain:
		case nil:
			c.connected(a)
		default:
			l.look()
			d.note(a.to, err)
			c.dropAttempt(a)
			c.tryNext()
		}
		break
	}
	c.settle()
}

// dropAttempt ends an attempt. The clock goes to another one.
func (c *Conn) dropAttempt(a attempt) {
	l, d := c.loop, c.opening.dial
	if int(c.fd) == a.fd {
		l.wheel.Cancel(c.fd)
		c.fd = -1
	}
	for i := range d.attempts {
		if d.attempts[i] == a {
			d.attempts = append(d.attempts[:i], d.attempts[i+1:]...)
			break
		}
	}
	l.sys.Remove(a.fd)
	l.table.set(a.fd, nil)
	l.bury(a.fd, true)
	if c.fd < 0 && len(d.attempts) > 0 {
		c.fd = int32(d.attempts[len(d.attempts)-1].fd)
		l.schedule(c, c.dialDue())
	}
}

// onDialTimer tries the next target beside those under way, or gives up.
func (c *Conn) onDialTimer() {
	if c.opening == nil || c.opening.dial == nil || len(c.opening.dial.attempts) == 0 {
		return // it is over, or a goroutine has its own clock
	}
	d, now := c.opening.dial, c.loop.now
	switch {
	case d.securing && d.due <= now:
		c.loop.secure.Expire(d.attempts[0].fd)
		c.failDial(newDialError("tls", d.authority, errTLSTimeout))
	case d.due <= now:
		for _, a := range d.attempts {
			d.note(a.to, errConnectTimeout)
		}
		c.failDial(d.whyNot())
	case len(d.targets) > 0 && d.stagger <= now:
		c.tryNext()
	default:
		c.loop.schedule(c, c.dialDue())
	}
}

// connected: an attempt has its connection. The others end.
func (c *Conn) connected(won attempt) {
	l, d := c.loop, c.opening.dial
	for len(d.attempts) > 1 {
		for _, a := range d.attempts {
			if a != won {
				c.dropAttempt(a)
				break
			}
		}
	}
	l.wheel.Cancel(c.fd)
	c.fd = int32(won.fd)
	c.setPeer(newPeerAddr(won.to.Addr))
	d.targets = nil
	if l.secure != nil {
		c.beginSecuring(won)
		return
	}
	c.hasTransport(netio.Writable)
}

// hasTransport goes on with the request on what the only attempt has made. watched is what the poller tells of it.
func (c *Conn) hasTransport(watched netio.Interest) {
	d := c.opening.dial
	d.attempts = nil
	c.watched = watched
	d.unlist()
	c.sendRequest()
}
