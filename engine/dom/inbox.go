package dom

import "github.com/gannet-ws/gannet/engine"

// eventBytes is what an event takes in memory beside its data.
const eventBytes = 128

// defaultInboxBytes is Options.InboxBytes.
const defaultInboxBytes = 1 << 20

// inbox holds the tasks that wait, and stops the reading when they are too many. Under the WebSocket's mu.
type inbox struct {
	tasks    []task
	head     int   // those before it have been taken
	bytes    int64 // what the events among them take
	arriving int64 // of the message that is not whole yet
	most     int64
	paused   bool
	settled  bool          // the attempt has ended, well or not
	ended    bool          // the close task is in: nothing follows
	wake     chan struct{} // whoever waits for a task
}

// task is something to do for whoever runs the tasks.
type task struct {
	kind  taskKind
	bytes int64 // for the inbox
	message
	call func()
	end  *ending
}

type taskKind uint8

const (
	taskOpen taskKind = iota
	taskText
	taskBinary
	taskClose
	taskCall
)

// ending is how a connection closed.
type ending struct {
	event  engine.CloseEvent
	failed bool // there is an error event
}

func (b *inbox) init(most int64) {
	if most == 0 {
		most = defaultInboxBytes
	}
	b.most, b.wake = most, make(chan struct{}, 1)
}

func (b *inbox) put(t task) {
	if len(b.tasks) == cap(b.tasks) && b.head > len(b.tasks)/2 {
		n := copy(b.tasks, b.tasks[b.head:])
		clear(b.tasks[n:])
		b.tasks, b.head = b.tasks[:n], 0
	}
	b.tasks = append(b.tasks, t)
	b.bytes += t.bytes
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *inbox) take() (t task, ok bool) {
	if b.head == len(b.tasks) {
		b.tasks, b.head = nil, 0
		return task{}, false
	}
	t = b.tasks[b.head]
	b.tasks[b.head] = task{}
	b.head++
	b.bytes -= t.bytes
	return t, true
}

// hold stops the reading when too much waits. A message alone is taken to its end.
func (b *inbox) hold(c *engine.Conn) {
	if b.bytes > 0 && b.bytes+b.arriving > b.most {
		b.paused = true
		c.Pause()
	}
}

// letGo goes on reading when there is room again.
func (b *inbox) letGo(c *engine.Conn) {
	if b.paused && (b.bytes == 0 || b.bytes+b.arriving <= b.most/2) {
		b.paused = false
		c.Resume()
	}
}
