package engine_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine"
)

// A server with two endpoints: each has its handler, its limits and its sub-protocols, and both are on the same loops.
func ExampleMux() {
	mux := engine.NewMux()
	err := mux.Handle("/chat/{room}", engine.Funcs{
		Upgrade: func(u *engine.Upgrade) { u.SetValue(u.PathValue("room")) },
		Open:    func(c *engine.Conn) { _ = c.SendText(fmt.Sprint("welcome to ", c.Value())) },
	}, engine.Route{
		Limits:    engine.Limits{MaxMessageSize: 4 << 10},
		Protocols: []string{"chat.v2", "chat.v1"},
	})
	if err != nil {
		log.Fatal(err)
	}
	err = mux.Handle("/ticks", engine.Funcs{
		Open: func(c *engine.Conn) { _ = c.SendText("the price is 42") },
	}, engine.Route{
		Origins: []string{"*"}, // anybody's pages
	})
	if err != nil {
		log.Fatal(err)
	}
	s, err := engine.NewServer(mux, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(ln)

	for _, path := range []string{"/chat/gannets", "/ticks", "/chat/"} {
		c, early, _, err := ws.Dial(context.Background(), "ws://"+ln.Addr().String()+path)
		if err != nil {
			fmt.Println(path, "-", err)
			continue
		}
		fmt.Println(path, "-", hear(c, early))
		_ = c.Close()
	}
	// Output:
	// /chat/gannets - welcome to gannets
	// /ticks - the price is 42
	// /chat/ - unexpected HTTP response status: 404
}
