package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// echoing is a server for the examples; it answers its URL.
func echoing() (url string, end func()) {
	s, err := engine.NewServer(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	return "ws://" + ln.Addr().String() + "/", func() { _ = s.Close() }
}

// One client serves any number of connections. Dial waits until a connection is open.
func ExampleNewClient() {
	url, end := echoing()
	defer end()
	closed := make(chan struct{})
	c, err := engine.NewClient(engine.Funcs{
		Message: func(c *engine.Conn, m engine.Message) {
			fmt.Printf("%s\n", m.Data)
			_ = c.Close()
		},
		Close: func(_ *engine.Conn, e engine.CloseEvent) {
			fmt.Println(e.Code, e.WasClean)
			close(closed)
		},
	}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := c.Dial(ctx, url, engine.DialOptions{})
	if err != nil {
		log.Fatal(err)
	}
	_ = conn.SendText("hello")
	<-closed
	// Output:
	// hello
	// 1000 true
}

// Start does not wait, and may be called anywhere. What a connection's callbacks need goes with it.
func ExampleClient_Start() {
	url, end := echoing()
	defer end()
	done := make(chan string, 3)
	c, err := engine.NewClient(engine.Funcs{
		Open:    func(c *engine.Conn) { _ = c.SendText("I am " + c.Value().(string)) },
		Message: func(c *engine.Conn, m engine.Message) { done <- string(m.Data) },
	}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"a", "b", "c"} {
		if _, err := c.Start(url, engine.DialOptions{Value: name}); err != nil {
			log.Fatal(err)
		}
	}
	for range 3 {
		fmt.Println(<-done)
	}
	// Unordered output:
	// I am a
	// I am b
	// I am c
}

// What a failed dial says: nobody was there (DialError), or the server did not want to (HandshakeError).
func ExampleClient_Dial_errors() {
	c, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	ln.Close() // nobody listens there any more
	_, err = c.Dial(context.Background(), "ws://"+ln.Addr().String(), engine.DialOptions{})
	var d *engine.DialError
	if errors.As(err, &d) {
		fmt.Println(d.Op, d.Reason)
	}
	_, err = c.Dial(context.Background(), "ws://127.0.0.1:22", engine.DialOptions{})
	fmt.Println(errors.Is(err, engine.ErrSecurity))
	// Output:
	// connect refused
	// true
}

// Through the proxy that the environment names, with cookies, and a look at what the server answered.
func ExampleDialOptions() {
	c, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	jar, _ := cookiejar.New(nil)
	conn, err := c.Dial(context.Background(), "wss://example.com/feed", engine.DialOptions{
		Protocols:  []string{"v2.feed", "v1.feed"},
		Origin:     "https://example.com",
		Header:     http.Header{"Authorization": {"Bearer ..."}},
		Jar:        jar,
		Proxy:      http.ProxyFromEnvironment,
		KeepHeader: true,
	})
	var h *engine.HandshakeError
	switch {
	case errors.As(err, &h):
		log.Printf("status %d, %s: %s", h.Status, h.Header.Get("Retry-After"), h.Body)
	case err != nil:
		log.Print(err)
	default:
		log.Print(conn.Protocol(), conn.Header().Get("Server"))
	}
}
