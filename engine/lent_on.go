//go:build gannetdebug

package engine

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

// giveBack ends the loan of a message. What Retain kept is the keeper's.
func (m *Message) giveBack() {
	if m.held == nil || m.held.Refs() == 1 {
		spoil(m.Data)
	}
}
