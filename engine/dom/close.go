package dom

import "github.com/gannet-ws/gannet/engine"

// Close closes the connection with code 1000, once what was sent has left. When it returns the state is CLOSING, and no further
// message is dispatched. In CONNECTING it fails the attempt: error and close (1006) follow. In CLOSING and CLOSED it does nothing.
func (w *WebSocket) Close() error { return w.CloseWith(engine.StatusNormalClosure, "") }

// CloseWith is Close with a code, 1000 or 3000 to 4999, and a reason of at most 123 bytes of UTF-8. Another code is ErrInvalidAccess, another
// reason ErrSyntax, in every state; the code is looked at first, and an error changes nothing.
func (w *WebSocket) CloseWith(code int, reason string) error {
	if err := w.conn.CloseWith(code, reason); err != nil {
		return err
	}
	w.leaveOpen()
	return nil
}

// CloseNoStatus is Close with a Close frame that has no code, which is what a page's close() sends today: the other side sees 1005.
func (w *WebSocket) CloseNoStatus() error {
	if err := w.conn.CloseNoStatus(); err != nil {
		return err
	}
	w.leaveOpen()
	return nil
}

// leaveOpen makes the state CLOSING. An attempt that was not open yet has failed.
func (w *WebSocket) leaveOpen() {
	w.mu.Lock()
	early := w.state == Connecting
	if w.state < Closing {
		w.state = Closing
	}
	w.mu.Unlock()
	if early {
		w.giveUp(errClosedEarly)
	}
}
