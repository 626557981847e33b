package engine

import (
	"fmt"
	"reflect"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// limits are a connection's limits, or the engine's: those in force, and what they come from. A
// field that does not fit another one steps aside in force; what was wanted of it stays known, so
// that it comes back when there is room again, and the order of two calls makes no difference.
type limits struct {
	Limits                   // in force
	incoming incoming.Limits // of them, what incoming goes by
	wanted   Limits
	given    givenLimits
	outgoing outgoing.Limits // what outgoing does
	route    *route          // whose they are: it is found here because each message looks at its limits
	hearsOn  bool            // CloseWrite was called
}

// givenLimits are the fields that somebody chose, of those that step aside for others.
type givenLimits uint8

const (
	gaveHighWater givenLimits = 1 << iota
	gaveLowWater
	gaveMaxBufferedAmount
	gavePingInterval
)

func givenIn(l Limits) (g givenLimits) {
	if l.HighWater != 0 {
		g |= gaveHighWater
	}
	if l.LowWater != 0 {
		g |= gaveLowWater
	}
	if l.MaxBufferedAmount != 0 {
		g |= gaveMaxBufferedAmount
	}
	if l.PingInterval != 0 {
		g |= gavePingInterval
	}
	return g
}

// newLimits are the engine's: what the options do not give is the default, or made to fit what they do.
func newLimits(o Limits) (*limits, error) {
	d := defaultLimits
	if o.MaxBufferedAmount == 0 && o.HighWater >= d.MaxBufferedAmount {
		d.MaxBufferedAmount = twice(o.HighWater)
	}
	l := o.withDefaults(d)
	d.HighWater = highWaterBelow(l.MaxBufferedAmount)
	d.LowWater = o.withDefaults(d).HighWater / 4
	d.PingInterval = pingWithin(l.IdleTimeout)
	return (&limits{wanted: d}).with(o)
}

// highWaterBelow is HighWater where nobody has chosen it.
func highWaterBelow(maxBuffered int64) int64 {
	if maxBuffered < 0 {
		return defaultLimits.HighWater
	}
	return min(defaultLimits.HighWater, maxBuffered/2)
}

// pingWithin is PingInterval where nobody has chosen it: a ping is answered before the peer counts as idle.
func pingWithin(idle time.Duration) time.Duration {
	if idle < 0 {
		return defaultLimits.PingInterval
	}
	return min(defaultLimits.PingInterval, idle/2)
}

// twice is 2 n, or no limit.
func twice(n int64) int64 {
	if n > 1<<62-1 {
		return -1
	}
	return 2 * n
}

// with is k after a change to the fields of l that are not 0.
func (k *limits) with(l Limits) (*limits, error) {
	l = k.changed(l)
	n := &limits{wanted: l.withDefaults(k.wanted), given: k.given | givenIn(l), route: k.route, hearsOn: k.hearsOn}
	if err := n.wanted.check(); err != nil {
		return nil, err
	}
	n.Limits = n.wanted
	n.fit()
	n.incoming = incoming.Limits{MaxMessageSize: n.MaxMessageSize, MaxFragments: n.MaxFragments}
	n.outgoing = outgoing.Limits{MaxBuffered: n.MaxBufferedAmount, High: n.HighWater, Low: n.LowWater, Drop: n.Overflow == DropMessage}
	return n, n.contradiction(l)
}

// changed is what of l is a change. Whoever gives every field has most likely changed one of those that Limits
// answered: then what is as it was is not given.
func (k *limits) changed(l Limits) Limits {
	give, now := reflect.ValueOf(&l).Elem(), reflect.ValueOf(k.Limits)
	for i := range give.NumField() {
		if give.Field(i).IsZero() && !now.Field(i).IsZero() {
			return l
		}
	}
	for i := range give.NumField() {
		if give.Field(i).Equal(now.Field(i)) {
			give.Field(i).SetZero()
		}
	}
	return l
}

// fit has fields step aside: those that nobody chose keep half, or a quarter, of what they are
// measured by; those that somebody chose stay as long as they can work.
func (k *limits) fit() {
	gave := func(g givenLimits) bool { return k.given&g != 0 }
	if k.MaxBufferedAmount > 0 && !gave(gaveMaxBufferedAmount) && gave(gaveHighWater) && k.HighWater >= k.MaxBufferedAmount {
		k.MaxBufferedAmount = twice(k.HighWater)
	}
	if most := k.MaxBufferedAmount; most > 0 && (k.HighWater >= most || !gave(gaveHighWater)) {
		k.HighWater = min(k.HighWater, highWaterBelow(most))
	}
	if k.LowWater > k.HighWater || !gave(gaveLowWater) {
		k.LowWater = min(k.LowWater, k.HighWater/4)
	}
	if idle := k.IdleTimeout; idle > 0 && k.PingInterval > 0 && (k.PingInterval >= idle || !gave(gavePingInterval)) {
		k.PingInterval = min(k.PingInterval, pingWithin(idle))
	}
}

// contradiction is what of l cannot work with the rest.
func (k *limits) contradiction(l Limits) error {
	switch {
	case l.HighWater > k.HighWater:
		return optionError("HighWater", l.HighWater, fmt.Sprintf("below MaxBufferedAmount (%d), because reading pauses before the queue is full; lower it, or raise MaxBufferedAmount", k.MaxBufferedAmount))
	case l.LowWater > k.LowWater:
		return optionError("LowWater", l.LowWater, fmt.Sprintf("1 byte to HighWater (%d)", k.HighWater))
	case l.PingInterval > 0 && l.PingInterval > k.PingInterval:
		return optionError("PingInterval", l.PingInterval, fmt.Sprintf("below IdleTimeout (%v), or live peers that have nothing to say are closed before they are pinged; lower it, raise IdleTimeout, or set one of them to -1 (off)", k.IdleTimeout))
	}
	return nil
}

// Limits are the connection's limits in force: no field is 0, unless another one leaves it no room. It answers the engine's for
// a connection whose limits nobody changed.
func (c *Conn) Limits() Limits {
	if k := c.limits.Load(); k != nil {
		return k.Limits
	}
	return Limits{} // of the zero Conn
}

// SetLimits changes the fields of this connection's limits that are not 0, and no others. Give only
// what is to change: each field that is given has to fit the others. (When all are given, as Limits answers them,
// those that are as they were count as not given; but another goroutine's change may be undone so.) A field that is not given and no
// longer fits one that is follows it, as the comments of Limits say (LowWater a new HighWater,
// HighWater a new MaxBufferedAmount, PingInterval a new IdleTimeout), and comes back when that is
// undone; so the order of two calls that change different fields makes no difference. Any goroutine.
//
// Off is -1, for a duration; back to what it was is the value that it had, which Limits answered before.
// Errors: ErrSyntax for a value out of range, and for one that cannot work with another, which
// the error names; ErrInvalidState for a Conn that is not the engine's. Nothing is changed then.
func (c *Conn) SetLimits(l Limits) error {
	for {
		old := c.limits.Load()
		if old == nil {
			return ErrInvalidState
		}
		k, err := old.with(l)
		if err != nil {
			return err
		}
		if c.limits.CompareAndSwap(old, k) {
			if c.ReadyState() == Open { // who opens it looks at the limits afterwards
				c.notify(todoTimers | todoMarks)
			}
			return nil
		}
	}
}
