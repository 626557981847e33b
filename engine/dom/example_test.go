package dom_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/dom"
)

// The examples of MDN's pages about WebSocket, in Go. Each has a server of its own beside it.

// serving starts a server, and answers its URL and what ends it.
func serving(h engine.Handler, o engine.Options) (url string, end func()) {
	s, err := engine.NewServer(h, o)
	if err != nil {
		panic(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = s.Serve(ln) }()
	return "ws://" + ln.Addr().String(), func() { _ = s.Close() }
}

// greeter answers a greeting, and closes.
var greeter = engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
	_ = c.SendText("Hello, client! You said: " + string(m.Data))
	_ = c.Close()
}}

// "WebSocket": a connection is made, a greeting sent when it is open, and what comes is shown.
func Example() {
	url, end := serving(greeter, engine.Options{})
	defer end()

	socket, err := dom.New(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	// Connection opened
	socket.AddEventListener("open", func(dom.Event) { _ = socket.SendText("Hello Server!") })
	// Listen for messages
	socket.AddEventListener("message", func(e dom.Event) {
		fmt.Println("Message from server:", e.(*dom.MessageEvent).Data)
	})
	_ = socket.Run(context.Background())
	// Output: Message from server: Hello, client! You said: Hello Server!
}

// "Writing WebSocket client applications": the handler properties.
func ExampleWebSocket_OnMessage() {
	url, end := serving(greeter, engine.Options{})
	defer end()

	exampleSocket, err := dom.New(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	exampleSocket.OnOpen(func(*dom.OpenEvent) {
		_ = exampleSocket.SendText("Here's some text that the server is urgently awaiting!")
	})
	exampleSocket.OnMessage(func(e *dom.MessageEvent) { fmt.Println(e.Data) })
	_ = exampleSocket.Run(context.Background())
	// Output: Hello, client! You said: Here's some text that the server is urgently awaiting!
}

// "WebSocket()": an array of protocols; the server chooses one.
func ExampleNew() {
	url, end := serving(engine.Funcs{}, engine.Options{Protocols: []string{"protocolTwo"}})
	defer end()

	exampleSocket, err := dom.New(url, "protocolOne", "protocolTwo")
	if err != nil {
		fmt.Println(err)
		return
	}
	exampleSocket.OnOpen(func(*dom.OpenEvent) {
		fmt.Println(exampleSocket.Protocol())
		_ = exampleSocket.Close()
	})
	_ = exampleSocket.Run(context.Background())
	// Output: protocolTwo
}

// "WebSocket()": what the constructor throws it returns.
func ExampleNew_errors() {
	for _, url := range []string{"ftp://example.com", "ws://example.com/#fragment", "ws://example.com:25"} {
		_, err := dom.New(url)
		fmt.Println(errors.Is(err, dom.ErrSyntax), errors.Is(err, dom.ErrSecurity))
	}
	_, err := dom.New("ws://example.com", "chat", "chat")
	fmt.Println(errors.Is(err, dom.ErrSyntax))
	// Output:
	// true false
	// true false
	// false true
	// true
}

// "bufferedAmount": the connection is closed when all has been given to the network.
func ExampleWebSocket_BufferedAmount() {
	received := make(chan int, 1)
	url, end := serving(engine.Funcs{Message: func(_ *engine.Conn, m engine.Message) { received <- len(m.Data) }}, engine.Options{})
	defer end()

	socket, err := dom.New(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	var wait func()
	wait = func() {
		if socket.BufferedAmount() == 0 {
			_ = socket.Close()
			return
		}
		time.AfterFunc(10*time.Millisecond, func() { _ = socket.Post(wait) })
	}
	socket.OnOpen(func(*dom.OpenEvent) {
		_ = socket.SendText(strings.Repeat("a", 1_000_000))
		fmt.Println("buffered:", socket.BufferedAmount())
		_ = socket.Post(wait)
	})
	socket.OnClose(func(e *dom.CloseEvent) { fmt.Println("closed:", e.Code, "buffered:", socket.BufferedAmount()) })
	_ = socket.Run(context.Background())
	fmt.Println("received:", <-received)
	// Output:
	// buffered: 1000000
	// closed: 1000 buffered: 0
	// received: 1000000
}

// "CloseEvent": code and reason after an attempt that has failed.
func ExampleWebSocket_OnClose() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ln.Close() // nobody is there

	websocket, err := dom.New("ws://" + ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	websocket.OnError(func(e *dom.ErrorEvent) {
		var failed *engine.DialError
		fmt.Println(e.Type(), websocket.ReadyState(), errors.As(e.Err, &failed), failed.Op)
	})
	websocket.OnClose(func(e *dom.CloseEvent) { fmt.Printf("%s %d %q %v\n", e.Type(), e.Code, e.Reason, e.WasClean) })
	websocket.Start()
	<-websocket.Done()
	// Output:
	// error CLOSED true connect
	// close 1006 "" false
}

// "binaryType": what a binary message is delivered as.
func ExampleWebSocket_SetBinaryType() {
	url, end := serving(engine.Funcs{Open: func(c *engine.Conn) {
		_ = c.SendBinary([]byte("12345"))
		_ = c.SendBinary([]byte("678"))
		_ = c.Close()
	}}, engine.Options{})
	defer end()

	socket, err := dom.New(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	socket.OnMessage(func(e *dom.MessageEvent) {
		switch data := e.Data.(type) {
		case *dom.Blob:
			text, _ := data.Text()
			fmt.Println("blob of", data.Size(), text)
			data.Release()
			_ = socket.SetBinaryType(dom.BinaryArrayBuffer)
		case []byte:
			fmt.Println("arraybuffer of", len(data), string(data))
		}
	})
	_ = socket.Run(context.Background())
	// Output:
	// blob of 5 12345
	// arraybuffer of 3 678
}
