// Package dom is the browser's WebSocket object in Go, over engine's client: what a page does with new WebSocket(url) a
// program does with [New], and sees the same states, the same events in the same order, the same byte counts and the
// same errors.
//
//	ws, err := dom.New("wss://example.com/chat", "chat.v1")
//	if err != nil {
//		return err // a URL or sub-protocol that no browser accepts
//	}
//	ws.OnOpen(func(*dom.OpenEvent) { ws.SendText("hello") })
//	ws.OnMessage(func(e *dom.MessageEvent) { fmt.Println(e.Data) })
//	ws.OnClose(func(e *dom.CloseEvent) { fmt.Println("closed:", e.Code, e.Reason) })
//	return ws.Run(ctx) // or ws.Start(), and the events come in a goroutine of their own
//
// # Events
//
// What happens on the network is queued as tasks, and one goroutine runs them: that of [WebSocket.Start], or the caller of
// [WebSocket.Run]. Nothing is delivered before, so handlers can be set after New without a race, and two handlers of one object
// never run at the same time. A task changes the state and calls the listeners: ReadyState is OPEN in open and message, CLOSED
// in error and close. As in a browser the object opens when the task runs, not when the answer arrives.
//
// A handler may take its time. While Options.InboxBytes of events wait for it, nothing more is read, and the
// server has to wait.
//
// # Where it differs from a page
//
// A handler is a func, so it cannot be compared: [WebSocket.AddEventListener] answers a func that removes it, and the
// same func added twice is called twice. The four On methods are the event handler properties. Errors are returned, not thrown; all
// are those of package engine. An error event has an Err, and so has a close event. Close sends 1000; what a page's close()
// sends is [WebSocket.CloseNoStatus]. The choices are in docs/decisions/0027-the-browsers-object.md.
package dom
