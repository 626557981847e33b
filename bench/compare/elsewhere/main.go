// Command elsewhere is Gannet's echo server for bench/compare's cell elsewhere-128: what comes is answered by another
// goroutine, which takes the messages from a channel, as bench/peers does it with the other libraries.
//
//	elsewhere ADDRESS
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"

	"github.com/gannet-ws/gannet/engine"
)

// reply is a message on its way to the goroutine that sends it.
type reply struct {
	to *engine.Conn
	op engine.Opcode
	p  *[]byte
}

// waiting is how many replies may wait before the loop has to: as in bench/peers.
const waiting = 1024

var buffers = sync.Pool{New: func() any { return new([]byte) }}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: elsewhere ADDRESS")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(2) // one more than loops, as gannet serve has it: docs/decisions/0009
	if err := serve(os.Args[1], func(net.Addr) {}); err != nil {
		fmt.Fprintln(os.Stderr, "elsewhere:", err)
		os.Exit(1)
	}
}

// serve serves on one loop until it fails. It calls up when it listens.
func serve(addr string, up func(net.Addr)) error {
	replies := make(chan reply, waiting)
	defer close(replies)
	go send(replies)
	server, err := engine.NewServer(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
		kept := buffers.Get().(*[]byte)
		*kept = append((*kept)[:0], m.Data...)
		replies <- reply{c, m.Op, kept}
	}}, engine.Options{Loops: 1})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	up(listener.Addr())
	return server.Serve(listener)
}

func send(replies <-chan reply) {
	for r := range replies {
		_ = r.to.Send(r.op, *r.p) // who has closed takes nothing
		buffers.Put(r.p)
	}
}
