// Package engine is a WebSocket engine: a server whose connections live on event
// loops, are decoded in place, and behave as the browser's WebSocket object does.
//
// A [Server] calls a [Handler]. Each loop is one goroutine around one poller; the
// callbacks of a connection never overlap, run on its loop (or, with
// Options.Workers, on a bounded pool, in order) and must not block. Every method of
// [Conn] may be called from any goroutine unless its comment says otherwise.
//
// One byte in:  poller, slab, frames, messages, UTF-8, handler   (loop.go, conn_read.go, conn_turn.go, internal/incoming, conn_calls.go; worker_inbox.go with workers)
// One message out: state, limits, order, compress, frame, mask, place, socket  (send.go, writer.go, prepared.go; then internal/outgoing)
// A broadcast out: server_broadcast.go, loop_broadcasts.go. What a loop finds locked: lock.go, conn_handed.go. Clocks: conn_clocks.go, conn_progress.go. The end: conn_life.go, conn_hearing.go.
package engine
