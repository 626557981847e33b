package engine_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// A server that compresses text, for clients that offer permessage-deflate with a window of at most 4 KiB for what
// they receive and for what they send.
func ExampleOptions_deflate() {
	s, err := engine.NewServer(engine.Funcs{
		Open: func(c *engine.Conn) {
			fmt.Println("agreed:", c.Extensions())
			_ = c.SendText(strings.Repeat("a gannet dives. ", 64))
		},
	}, engine.Options{
		Deflate:  &deflate.Policy{SendWindowBits: 12, ReceiveWindowBits: 12},
		Compress: func(op engine.Opcode, size int) bool { return op == engine.OpText },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(ln)

	d := ws.Dialer{Extensions: []httphead.Option{httphead.NewOption("permessage-deflate", map[string]string{"client_max_window_bits": ""})}}
	conn, br, _, err := d.Dial(context.Background(), "ws://"+ln.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	var r io.Reader = conn
	if br != nil { // the message came with the response
		r = br
	}
	h, err := ws.ReadHeader(r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("1024 bytes of text; compressed:", h.Rsv1(), "and at most 64 bytes:", h.Length <= 64)
	// Output:
	// agreed: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12
	// 1024 bytes of text; compressed: true and at most 64 bytes: true
}
