//go:build gannetdebug

package engine

// spoilByte is what package pool writes over released memory as well.
const spoilByte = 0xDB

// spoil writes over what was lent to a callback that has returned: whoever kept it sees at once that it is not theirs. A callback may
// change what it is lent, so nobody else counts on it.
func spoil(lent []byte) {
	for i := range lent {
		lent[i] = spoilByte
	}
}

// giveBack ends the loan of a message. What Retain kept is the keeper's.
func (m *Message) giveBack() {
	if m.held == nil || m.held.Refs() == 1 {
		spoil(m.Data)
	}
}
