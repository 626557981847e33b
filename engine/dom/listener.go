package dom

import "slices"

// ListenerOption changes how a listener is called.
type ListenerOption uint8

// Once removes the listener before it is called.
const Once ListenerOption = 1

// listener is a registration (DOM, "event listener"). Under the WebSocket's mu.
type listener struct {
	call    func(Event)
	once    bool
	removed bool
}

// AddEventListener has f called for the events of a type: "open", "message", "error", "close"; of another type there are none. Listeners
// are called in the order in which they were added, the On methods' among them. One that is added while an event is dispatched hears the next one; one that
// is removed is not called any more. It answers what removes f, which does nothing the second time. A func cannot be compared with another: one that is added twice
// is called twice. A nil f is never called.
func (w *WebSocket) AddEventListener(typ string, f func(Event), options ...ListenerOption) (remove func()) {
	k, known := kindOf(typ)
	if !known || f == nil {
		return func() {}
	}
	l := &listener{call: f, once: slices.Contains(options, Once)}
	w.mu.Lock()
	w.listeners[k] = append(w.listeners[k], l)
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		w.removeLocked(k, l)
		w.mu.Unlock()
	}
}

func (w *WebSocket) removeLocked(k eventKind, l *listener) {
	l.removed = true
	w.listeners[k] = slices.DeleteFunc(slices.Clone(w.listeners[k]), func(other *listener) bool { return other == l })
}

// OnOpen sets the handler of open, in the place of the one before; nil removes it. As a page's event handler it is called in the order of the listeners, at
// the place where it was first set since there was none (HTML 8.1.8.1).
func (w *WebSocket) OnOpen(f func(*OpenEvent)) { setHandler(w, eventOpen, f) }

// OnMessage sets the handler of message; see OnOpen.
func (w *WebSocket) OnMessage(f func(*MessageEvent)) { setHandler(w, eventMessage, f) }

// OnError sets the handler of error; see OnOpen.
func (w *WebSocket) OnError(f func(*ErrorEvent)) { setHandler(w, eventError, f) }

// OnClose sets the handler of close; see OnOpen.
func (w *WebSocket) OnClose(f func(*CloseEvent)) { setHandler(w, eventClose, f) }

func setHandler[E Event](w *WebSocket, k eventKind, f func(E)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.handlers[k]
	switch {
	case f == nil:
		if l != nil {
			w.removeLocked(k, l)
			w.handlers[k] = nil
		}
		return
	case l == nil:
		l = new(listener)
		w.handlers[k] = l
		w.listeners[k] = append(w.listeners[k], l)
	}
	l.call = func(e Event) { f(e.(E)) }
}

// firing is an event on its way to its listeners.
type firing struct {
	event     Event
	kind      eventKind
	begun     bool
	listeners []*listener // those that are still to be called
}

// next is what is to be called next for the event; nil: nothing.
func (w *WebSocket) nextListener(f *firing) func(Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !f.begun {
		f.begun, f.listeners = true, slices.Clone(w.listeners[f.kind])
	}
	for len(f.listeners) > 0 {
		l := f.listeners[0]
		f.listeners = f.listeners[1:]
		if l.removed {
			continue
		}
		if l.once {
			w.removeLocked(f.kind, l)
		}
		return l.call
	}
	return nil
}
