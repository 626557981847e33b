// Command nethttp has an http.Server listen, and gives the WebSockets of one path to Gannet. Any router does instead of
// http.ServeMux, and middleware around it, as long as it lets a connection be hijacked (http.NewResponseController).
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

func echo(c *engine.Conn, m engine.Message) {
	if err := c.Send(m.Op, m.Data); err != nil { // it copies m.Data, which is lent until return
		log.Println(c.RemoteAddr(), err)
	}
}

func main() {
	server, err := engine.NewServer(engine.Funcs{Message: echo}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /ws", server) // plain TCP moves to the event loops, TLS stays with goroutines
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "WebSockets that are open:", server.Stats().Open)
	})
	web := &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		if err := web.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	// http.Server does not know the WebSockets any more; they are Gannet's to close.
	if err := errors.Join(web.Shutdown(ctx), server.Shutdown(ctx)); err != nil {
		log.Fatal("shutdown: ", err)
	}
}
