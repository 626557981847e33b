// Package wheel is a hashed timing wheel (Varghese and Lauck, scheme 6): one timer
// for each of very many connections, O(1) to move and to cancel, and nothing
// allocated per timer.
//
// A timer is a Node of 12 bytes inside whatever it times. Nodes are named by small
// integers (the engine uses descriptors), and the owner's table turns a name into
// its Node; links are names, so the garbage collector has nothing to follow, and the
// callback learns which connection is due without unsafe arithmetic.
//
// A Wheel belongs to one goroutine. It has no clock: time is what Schedule and
// Advance are told, a duration since an arbitrary start.
package wheel

import (
	"math/bits"
	"time"
)

// Node is one timer; its zero value is not scheduled. It must neither move to
// another name nor be copied or freed while it is scheduled.
type Node struct {
	next  int32  // name+1 of the next in the slot; 0 ends the list
	prev  int32  // name+1 of the one before; -(slot+1) in the first; 0 when not scheduled
	round uint32 // due tick without the bits that the slot says
}

// Scheduled tells whether the node is in a wheel.
func (n *Node) Scheduled() bool { return n.prev != 0 }

// Wheel keeps nodes in slots by the low bits of their due tick. A node that is due
// in a later revolution stays in its slot and is looked at once per revolution.
type Wheel struct {
	node  func(name int32) *Node
	tick  time.Duration
	shift uint     // log2 of the number of slots
	heads []int32  // name+1 of the first node in each slot; 0 when empty
	used  []uint64 // one bit per slot that is not empty

	now    int64 // the tick that Advance was told: what is scheduled is due later
	swept  int64 // the tick up to which the slots were visited: now, unless fire ended its goroutine
	cursor int32 // name+1 of the node that visit looks at next; unlink keeps it valid
	count  int
}

const (
	// minTick bounds the number of a tick, so that 32 bits hold a round for at least
	// 8 years (2^38 ms with the fewest slots).
	minTick = time.Millisecond
	// minSlots is one word of the bitset.
	minSlots = 64
	maxSlots = 1 << 20
)

// New makes a wheel whose timers are late by at most one tick (at least a
// millisecond). slots is a power of two between 64 and 2^20; each costs 4 bytes and
// a bit. Timers beyond slots*tick cost one look per revolution. node is the owner's
// table; it is asked for scheduled names only, and for the one that Schedule or
// Cancel was called with.
func New(tick time.Duration, slots int, node func(name int32) *Node) *Wheel {
	if tick < minTick {
		panic("wheel: tick is shorter than a millisecond")
	}
	if slots < minSlots || slots > maxSlots || slots&(slots-1) != 0 {
		panic("wheel: slots is not a power of two between 64 and 2^20")
	}
	return &Wheel{
		node:  node,
		tick:  tick,
		shift: uint(bits.TrailingZeros(uint(slots))),
		heads: make([]int32, slots),
		used:  make([]uint64, slots/64),
	}
}

// Len is the number of scheduled nodes.
func (w *Wheel) Len() int { return w.count }

// Schedule makes the node of that name due at the first tick that is not before at,
// and not before the next one; if it was scheduled it moves. Deadlines beyond about
// 8 years are taken as 8 years.
func (w *Wheel) Schedule(name int32, at time.Duration) {
	due := min(max(w.ceil(at), w.now+1), w.lastTick())
	n := w.node(name)
	if n.Scheduled() {
		w.unlink(name, n)
	}
	w.push(name, n, due)
}

// Cancel takes the node out of the wheel, if it is in.
func (w *Wheel) Cancel(name int32) {
	if n := w.node(name); n.Scheduled() {
		w.unlink(name, n)
	}
}

// Advance calls fire for every node that is due at now, in no promised order, each
// taken out before. fire may schedule and cancel any node, its own and those that are
// due in the same call included; what it schedules is not fired before a later call.
// It must not call Advance. A now that lies before an earlier one does nothing. When fire ends its
// goroutine (runtime.Goexit), the next call fires what this one left.
func (w *Wheel) Advance(now time.Duration, fire func(name int32)) {
	target := max(int64(now/w.tick), w.now)
	w.now = target
	// After a whole revolution every slot has been visited.
	w.swept = max(w.swept, target-int64(len(w.heads)))
	for w.swept < target {
		gap, ok := w.gap(int(w.swept+1) & int(w.mask()))
		if w.swept += int64(gap); !ok || w.swept >= target {
			break
		}
		w.visit(int(w.swept+1)&int(w.mask()), target, fire)
		w.swept++
	}
	w.swept = target
}

// Next tells when Advance should be called next: never after the first deadline's
// tick, but perhaps before it, when the slot that comes first holds only later
// revolutions. It is false when nothing is scheduled. Not for use inside fire.
func (w *Wheel) Next() (at time.Duration, ok bool) {
	gap, ok := w.gap(int(w.swept+1) & int(w.mask()))
	if !ok {
		return 0, false
	}
	return time.Duration(w.swept+1+int64(gap)) * w.tick, true
}

// visit fires the nodes of one slot that are due at target. The cursor survives
// whatever fire does: unlink moves it off a node that leaves, and nodes that come
// are pushed in front of it.
func (w *Wheel) visit(slot int, target int64, fire func(name int32)) {
	w.cursor = w.heads[slot]
	for w.cursor != 0 {
		name := w.cursor - 1
		n := w.node(name)
		w.cursor = n.next
		if w.due(n, slot) <= target {
			w.unlink(name, n)
			fire(name)
		}
	}
}

func (w *Wheel) mask() int64 { return int64(len(w.heads) - 1) }

// lastTick is the highest tick that a Node can say.
func (w *Wheel) lastTick() int64 { return 1<<(32+w.shift) - 1 }

// ceil is the first tick that is not before at.
func (w *Wheel) ceil(at time.Duration) int64 {
	t := int64(at / w.tick)
	if at%w.tick > 0 {
		t++
	}
	return t
}

func (w *Wheel) due(n *Node, slot int) int64 {
	return int64(n.round)<<w.shift | int64(slot)
}
