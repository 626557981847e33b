package main

import (
	"fmt"
	"sync"
)

// mode is what a server does with a message.
type mode string

const (
	echo      mode = "echo"
	discard   mode = "discard"
	broadcast mode = "broadcast" // to all connections, the sender's too
	elsewhere mode = "elsewhere" // echo, but from another goroutine, as programs do that answer when a result has come
)

func parseMode(name string) (mode, error) {
	switch m := mode(name); m {
	case echo, discard, broadcast, elsewhere:
		return m, nil
	}
	return "", fmt.Errorf("-mode %q: want echo, discard, broadcast or elsewhere", name)
}

// sender is what a library offers to send with. Opcodes are RFC 6455's.
type sender[C any] struct {
	// send sends p, which is lent to it. Modes echo and discard call it where the message came; elsewhere calls it from one
	// other goroutine.
	send func(c C, opcode byte, p []byte)
	// prepare does once what is the same for all receivers, and answers what sends the result to one of them. It is
	// called from the goroutine of the connection that the message came from.
	prepare func(opcode byte, p []byte) func(C)
}

// room does with messages what its mode says. C is what a library calls a connection.
type room[C comparable] struct {
	mode mode
	sender[C]
	replies chan reply[C]

	mu      sync.Mutex
	members map[C]struct{}
	present []C // members as they were last asked for; nil when that has changed
}

// reply is a message that another goroutine is to send.
type reply[C any] struct {
	to     C
	opcode byte
	p      *[]byte
}

// waitingReplies is how many replies may wait for the goroutine that sends them before readers have to wait as well.
const waitingReplies = 1024

func newRoom[C comparable](m mode, s sender[C]) *room[C] {
	r := &room[C]{mode: m, sender: s, members: make(map[C]struct{})}
	if m == elsewhere {
		r.replies = make(chan reply[C], waitingReplies)
		go r.reply()
	}
	return r
}

// enter makes c a receiver of broadcasts, until it leaves.
func (r *room[C]) enter(c C) {
	if r.mode != broadcast {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[c] = struct{}{}
	r.present = nil
}

func (r *room[C]) leave(c C) {
	if r.mode != broadcast {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, c)
	r.present = nil
}

// all is every member. Nobody changes the slice, so it is walked without the lock: a send that fails may call leave.
func (r *room[C]) all() []C {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.present == nil {
		r.present = make([]C, 0, len(r.members))
		for c := range r.members {
			r.present = append(r.present, c)
		}
	}
	return r.present
}

// message is called with each message that comes. p is lent until it returns.
func (r *room[C]) message(c C, opcode byte, p []byte) {
	switch r.mode {
	case echo:
		r.send(c, opcode, p)
	case broadcast:
		to := r.prepare(opcode, p)
		for _, member := range r.all() {
			to(member)
		}
	case elsewhere:
		kept := buffers.Get().(*[]byte)
		*kept = append((*kept)[:0], p...)
		r.replies <- reply[C]{c, opcode, kept}
	}
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (r *room[C]) reply() {
	for next := range r.replies {
		r.send(next.to, next.opcode, *next.p)
		buffers.Put(next.p)
	}
}
