package dom

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/gannet-ws/gannet/engine"
)

// Start runs the events in a goroutine of their own, which ends after close. While they are run already, or are over, it does nothing.
func (w *WebSocket) Start() {
	if w.takeTasks() {
		go w.background()
	}
}

// background runs the tasks. When a handler ends the goroutine, another one goes on.
func (w *WebSocket) background() {
	ended := true
	defer func() {
		if ended {
			go w.background()
		}
	}()
	_ = w.runTasks(context.Background())
	ended = false
	w.leaveTasks()
}

// Run runs the events in the caller's goroutine, until close was dispatched, or ctx ends: then it answers nil, or ctx's cause. The end of ctx does not close the
// connection; Run and Start may be called again. After close it answers nil at once. It answers ErrInvalidState while somebody else runs the events, a handler that calls Run among them.
func (w *WebSocket) Run(ctx context.Context) error {
	select {
	case <-w.done:
		return nil
	default:
	}
	if !w.takeTasks() {
		return fmt.Errorf("%w: the events are run already, by Start or another Run", ErrInvalidState)
	}
	defer w.leaveTasks()
	return w.runTasks(ctx)
}

func (w *WebSocket) takeTasks() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken {
		return false
	}
	w.taken = true
	return true
}

func (w *WebSocket) leaveTasks() {
	w.mu.Lock()
	w.taken = false
	w.mu.Unlock()
}

// Post has f called as a task, between the events: never at the same time as a handler. It answers ErrClosed when close was dispatched
// or is next, ErrSyntax for a nil f. What was posted before the end of the connection is called before close. Tasks that are posted do not count for Options.InboxBytes.
func (w *WebSocket) Post(f func()) error {
	if f == nil {
		return misused("Post needs a func, and this one is nil")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inbox.ended {
		return ErrClosed
	}
	w.inbox.put(task{kind: taskCall, call: f})
	return nil
}

// runTasks runs the tasks until the last one. What a goroutine before has left of one comes first.
func (w *WebSocket) runTasks(ctx context.Context) error {
	for {
		w.finishTask()
		select {
		case <-w.done:
			return nil
		default:
		}
		t, err := w.nextTask(ctx)
		if err != nil {
			return err
		}
		w.begin(&t)
	}
}

// nextTask waits for a task.
func (w *WebSocket) nextTask(ctx context.Context) (task, error) {
	for ctx.Err() == nil {
		base := w.conn.BufferedAmount()
		w.mu.Lock()
		t, ok := w.inbox.take()
		if ok {
			w.inbox.letGo(w.conn)
			w.turn = turn{running: true, posted: t.kind == taskCall, base: base}
		}
		w.mu.Unlock()
		if ok {
			return t, nil
		}
		select {
		case <-w.inbox.wake:
		case <-ctx.Done():
		}
	}
	return task{}, context.Cause(ctx)
}

// begin does what a task does before its events.
func (w *WebSocket) begin(t *task) {
	switch t.kind {
	case taskOpen:
		w.beginOpen()
	case taskText, taskBinary:
		w.beginMessage(t)
	case taskClose:
		w.beginClose(t.end)
	case taskCall:
		w.guard("a func that was posted", t.call)
	}
}

func (w *WebSocket) fire(k eventKind, e Event) {
	w.firing = append(w.firing, firing{kind: k, event: e})
}

func (w *WebSocket) beginOpen() {
	w.mu.Lock()
	opens := w.state == Connecting && w.failed == nil
	if opens {
		w.state, w.opened = Open, true
	}
	w.mu.Unlock()
	if opens {
		w.fire(eventOpen, &OpenEvent{target{w}})
	}
}

func (w *WebSocket) beginMessage(t *task) {
	w.mu.Lock()
	open, as := w.state == Open, w.binaryType
	w.mu.Unlock()
	if !open {
		t.message.release()
		return
	}
	e := &MessageEvent{target: target{w}, Origin: w.origin}
	switch {
	case t.kind == taskText:
		e.Data = t.message.takeText()
	case as == BinaryBlob:
		e.Data = t.message.takeBlob()
	default:
		e.Data = t.message.takeBytes()
	}
	w.fire(eventMessage, e)
}

func (w *WebSocket) beginClose(end *ending) {
	w.mu.Lock()
	e := end.event
	if w.failed != nil {
		e, end.failed = engine.CloseEvent{Code: engine.StatusAbnormalClosure, Err: w.failed}, true
	}
	w.state, w.over = Closed, true
	w.mu.Unlock()
	if end.failed {
		w.fire(eventError, &ErrorEvent{target{w}, e.Err})
	}
	w.fire(eventClose, &CloseEvent{target{w}, e.Code, e.Reason, e.WasClean, e.Err})
}

// finishTask calls the listeners of what a task fires, and ends it.
func (w *WebSocket) finishTask() {
	for len(w.firing) > 0 {
		f := &w.firing[0]
		for call := w.nextListener(f); call != nil; call = w.nextListener(f) {
			w.guard("a handler of "+f.kind.String(), func() { call(f.event) })
		}
		w.firing = w.firing[1:]
	}
	w.firing = nil
	w.mu.Lock()
	w.turn = turn{}
	over := w.over
	w.over = false
	w.mu.Unlock()
	if over {
		close(w.done)
	}
}

// guard calls something of the user's. As on a page, a panic is reported and the next one is called (HTML, "report an exception").
func (w *WebSocket) guard(what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			w.log().Error("gannet: "+what+" panicked; the others are called all the same",
				"panic", fmt.Sprint(r), "url", w.origin, "stack", string(debug.Stack()))
		}
	}()
	f()
}

func (w *WebSocket) log() *slog.Logger {
	if w.logger != nil {
		return w.logger
	}
	return slog.Default()
}
