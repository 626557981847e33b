package wheel

import "math/bits"

// push puts a node that is in no list in front of its slot's.
func (w *Wheel) push(name int32, n *Node, due int64) {
	slot := int(due & w.mask())
	head := w.heads[slot]
	*n = Node{next: head, prev: -int32(slot) - 1, round: uint32(due >> w.shift)}
	if head != 0 {
		w.node(head - 1).prev = name + 1
	}
	w.heads[slot] = name + 1
	w.used[slot/64] |= 1 << (slot % 64)
	w.count++
}

// unlink takes a scheduled node out of its slot's list and leaves it zero.
func (w *Wheel) unlink(name int32, n *Node) {
	if w.cursor == name+1 {
		w.cursor = n.next
	}
	if n.next != 0 {
		w.node(n.next - 1).prev = n.prev
	}
	if n.prev > 0 {
		w.node(n.prev - 1).next = n.next
	} else {
		w.setHead(int(-n.prev-1), n.next)
	}
	*n = Node{}
	w.count--
}

func (w *Wheel) setHead(slot int, head int32) {
	w.heads[slot] = head
	if head == 0 {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
}

// gap is the number of slots from the given one, going round, to the first that is
// not empty: 0 if it is itself; false if all are empty.
func (w *Wheel) gap(slot int) (int, bool) {
	if w.count == 0 {
		return 0, false
	}
	words := len(w.used)
	first := slot / 64
	if rest := w.used[first] >> (slot % 64); rest != 0 {
		return bits.TrailingZeros64(rest), true
	}
	gap := 64 - slot%64
	for i := 1; ; i++ { // ends: some slot is used, at the latest below slot in its own word
		if word := w.used[(first+i)%words]; word != 0 {
			return gap + bits.TrailingZeros64(word), true
		}
		gap += 64
	}
}
