package engine

import (
	"sync"

	"github.com/gannet-ws/gannet/pool"
)

type letterKind uint8

const (
	letterMessage letterKind = iota
	letterChunk
	letterControl // OnPing, OnPong
	letterEnd     // the peer said no more: the closing, which waits for it, goes on
	letterCall    // everything that the peer has not said
)

// letter is one callback to be.
type letter struct {
	kind   letterKind
	op     Opcode
	flags  letterFlags
	number uint32       // letters run in this order
	cost   int64        // what it adds to the inbox's account; noted, for the callback may change buf.B, or keep buf
	buf    *pool.Buffer // a reference to what data lies in; nil when there is none
	data   []byte
	call   func(*Conn)
}

type letterFlags uint8

const (
	letterFirst  letterFlags = 1 << iota // of a message's chunks
	letterLast                           // of them
	letterShared                         // other letters' data lie in buf, too
)

// letterBytes is what a letter costs beside its data: itself, and its share of what it lies in.
const letterBytes = 64

// earlier tells whether t comes before u.
func (t *letter) earlier(u *letter) bool { return int32(t.number-u.number) < 0 }

// blockLetters letters and two words fit into 2 KiB.
const blockLetters = 36

// block is a run of letters. An array that grows would be copied by the loop, and leave as
// much garbage again as there is.
type block struct {
	letters    [blockLetters]letter
	next       *block
	head, tail int32 // letters[head:tail] wait
}

var blockPool = sync.Pool{New: func() any { return new(block) }}

// letterQueue is a FIFO of letters. It keeps one empty block at most.
type letterQueue struct {
	first, last *block
	n           int
}

func (q *letterQueue) push(t *letter) {
	if q.last == nil || q.last.tail == blockLetters {
		b := blockPool.Get().(*block)
		if q.last == nil {
			q.first = b
		} else {
			q.last.next = b
		}
		q.last = b
	}
	q.last.letters[q.last.tail] = *t
	q.last.tail++
	q.n++
}

// head is the first letter; nil when there is none.
func (q *letterQueue) head() *letter {
	if q.n == 0 {
		return nil
	}
	return &q.first.letters[q.first.head]
}

func (q *letterQueue) pop() {
	b := q.first
	b.letters[b.head] = letter{}
	b.head++
	q.n--
	if b.head < b.tail {
		return
	}
	b.head, b.tail = 0, 0
	if b.next != nil {
		q.first, b.next = b.next, nil
		blockPool.Put(b)
	}
}

// reader walks along a queue without taking anything out.
type reader struct {
	b *block
	i int32
}

func (q *letterQueue) reader() reader {
	if q.n == 0 {
		return reader{}
	}
	return reader{q.first, q.first.head}
}

// letter is the one that the reader stands before; nil behind the last.
func (r *reader) letter() *letter {
	if r.b != nil && r.i == r.b.tail {
		if r.b = r.b.next; r.b != nil {
			r.i = r.b.head
		}
	}
	if r.b == nil {
		return nil
	}
	return &r.b.letters[r.i]
}

func (r *reader) next() { r.i++ }
