package dom

import "github.com/gannet-ws/gannet/engine"

// receiver is the engine's handler of the connection: it makes tasks of what comes. Its methods run in the connection's sequence.
type receiver struct {
	ws       *WebSocket
	arriving *content // of the message under way
	failed   bool
}

// OnOpen queues open.
func (r *receiver) OnOpen(c *engine.Conn) {
	w := r.ws
	w.mu.Lock()
	w.settleLocked()
	w.agreed = agreement{c.Protocol(), c.Extensions()}
	w.inbox.put(task{kind: taskOpen, bytes: eventBytes})
	w.mu.Unlock()
}

// OnMessage is not called where there is an OnChunk.
func (r *receiver) OnMessage(*engine.Conn, engine.Message) {}

// OnChunk gathers a message, and queues it when it is whole.
func (r *receiver) OnChunk(c *engine.Conn, k engine.Chunk) {
	if k.First && k.Last && len(k.Data) <= smallMessage {
		r.queue(c, k.Op, smallMessageOf(k))
		return
	}
	if r.arriving == nil {
		r.arriving = newContent()
	}
	r.arriving.append(k.Data)
	if !k.Last {
		r.ws.mu.Lock()
		r.ws.inbox.arriving = r.arriving.memory
		r.ws.inbox.hold(c)
		r.ws.mu.Unlock()
		return
	}
	m := r.arriving.asMessage(k.Op)
	r.arriving = nil
	r.queue(c, k.Op, m)
}

func (r *receiver) queue(c *engine.Conn, op engine.Opcode, m message) {
	t := task{kind: taskBinary, message: m, bytes: eventBytes + m.memory()}
	if op == engine.OpText {
		t.kind = taskText
	}
	w := r.ws
	w.mu.Lock()
	w.inbox.arriving = 0
	w.inbox.put(t)
	w.inbox.hold(c)
	w.mu.Unlock()
}

// OnError notes that error is to come before close.
func (r *receiver) OnError(*engine.Conn, error) { r.failed = true }

// OnClose queues close, and error before it.
func (r *receiver) OnClose(_ *engine.Conn, e engine.CloseEvent) {
	if r.arriving != nil {
		r.arriving.release()
		r.arriving = nil
	}
	w := r.ws
	w.mu.Lock()
	w.settleLocked()
	w.inbox.arriving, w.inbox.ended = 0, true
	w.inbox.put(task{kind: taskClose, end: &ending{e, r.failed}})
	w.mu.Unlock()
}

// settleLocked: the attempt is over.
func (w *WebSocket) settleLocked() {
	w.inbox.settled = true
	if w.timeout != nil {
		w.timeout.Stop()
		w.timeout = nil
	}
}
