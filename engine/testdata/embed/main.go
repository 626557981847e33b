package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// chat sends what one says to everybody.
type chat struct{ server *engine.Server }

func (h *chat) OnOpen(c *engine.Conn) { log.Println(c.RemoteAddr(), "joined", c.URL()) }

func (h *chat) OnMessage(c *engine.Conn, m engine.Message) {
	p, err := engine.Prepare(m.Op, m.Data) // framed once, for everybody
	if err != nil {
		log.Println(err)
		return
	}
	h.server.Broadcast(p, nil)
}

func (h *chat) OnClose(c *engine.Conn, e engine.CloseEvent) {
	log.Println(c.RemoteAddr(), "left:", e.Code, e.Reason, e.Err)
}

func main() {
	h := &chat{}
	server, err := engine.NewServer(h, engine.Options{
		Origins: []string{"https://*.example.com"}, // besides the server's own
		Limits:  engine.Limits{MaxMessageSize: 64 << 10},
	})
	if err != nil {
		log.Fatal(err)
	}
	h.server = server
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		if err := server.ListenAndServe("tcp", ":8080"); err != engine.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil { // each client gets what was sent to it, and a Close with 1001
		log.Fatal("shutdown: ", err)
	}
}
