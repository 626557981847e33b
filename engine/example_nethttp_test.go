package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// A server behind net/http: one path is WebSockets, the others are what they were. http.Server does not know the WebSockets
// any more when it shuts down, so both have to.
func ExampleServer_ServeHTTP() {
	s, err := engine.NewServer(engine.Funcs{
		Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) },
		Close:   func(_ *engine.Conn, e engine.CloseEvent) { fmt.Println("closed:", e.Code, e.Reason) },
	}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /room", s)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the page") })
	web := &http.Server{Handler: mux}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go web.Serve(ln)

	talk(ln.Addr(), "hello")

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(web.Shutdown(ctx), s.Shutdown(ctx)); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the client hears: hello
	// closed: 1000 bye
}
