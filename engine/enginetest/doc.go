// Package enginetest tests handlers of package engine without sockets: a server and its clients in one process, over
// net.Pipe, with a recorder of what happens on each connection, and a way to wait until nothing happens any more.
//
//	func TestGreeting(t *testing.T) {
//		s := enginetest.Serve(t, handler, engine.Options{})
//		c := s.Dial(t, "/chat", engine.DialOptions{})
//		_ = c.SendText("hello")
//		if m := c.Message(t); string(m.Data) != "welcome" {
//			t.Errorf("got %q", m.Data)
//		}
//		_ = c.Close()
//		if e := c.Closed(t); e.Code != 1000 {
//			t.Errorf("closed with %d", e.Code)
//		}
//	}
//
// Everything ends with the test. Nothing waits for ever: whatever does not come within [Patience] fails the test, which says what had
// come instead. The engine, its handlers and their optional methods, Mux, workers, limits and time-outs are
// the real ones; only the transport is a pipe, which keeps nothing: a peer that does not read is noticed at once.
//
// [Server.Raw] and [Listen] give the other end as bytes, for what a well-made peer never sends.
package enginetest
