//go:build gannetdebug

package engine

import "github.com/gannet-ws/gannet/pool"

// spoilByte is what package pool writes over released memory as well.
const spoilByte = 0xDB

// spoil writes over what was lent to a callback that has returned: whoever kept it sees at once that it is not theirs. A callback may
// change what it is lent, so nobody else counts on it.
func spoil(lent []byte) {
	if len(lent) == 0 {
		return
	}
	lent[0] = spoilByte
	for n := 1; n < len(lent); n *= 2 { // by copying, which is as quick as memory is
		copy(lent[n:], lent[:n])
	}
}

// giveBack ends the loan of a message. What Retain kept is the keeper's. A buffer above pool.SmallMax is left to package pool, which
// takes its memory away when the engine releases it: to write over 64 MiB would hold the loop.
func (m *Message) giveBack() {
	if b := m.held; b == nil || b.Refs() == 1 && cap(b.B) <= pool.SmallMax {
		spoil(m.Data)
	}
}
