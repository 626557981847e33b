package engine

// fifo is a queue: first in, first out.
type fifo[T any] struct {
	items []T
	head  int // items[head:] wait
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) { q.items = append(q.items, v) }

func (q *fifo[T]) pop() T {
	var none T
	v := q.items[q.head]
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = shrunk(q.items), 0
	} else if q.head > 32 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return v
}

// shrunk is an emptied slice, without its array if a busy moment made that large.
func shrunk[T any](s []T) []T {
	const most = 1 << 10
	if cap(s) > most {
		return nil
	}
	return s[:0]
}
