package dom_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/dom"
)

// The server of bench/peers/ported/gorilla, line by line.
func serveLines(stream *dom.Stream) {
	ctx := context.Background()
	defer stream.Close()
	_ = stream.SetReadLimit(4096)
	lines, done := make(chan []byte), make(chan struct{})
	go func() {
		defer close(done)
		for p := range lines {
			if err := stream.Write(ctx, engine.OpText, bytes.ToUpper(p)); err != nil {
				return
			}
		}
	}()
	defer close(lines)
	for {
		_, p, err := stream.Read(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				log.Print(err)
			}
			return
		}
		select {
		case lines <- p:
		case <-done:
			return
		}
	}
}

func ExampleStreamHandler() {
	server, err := engine.NewServer(dom.StreamHandler(serveLines), engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	url := listen(server)
	defer server.Close()

	ctx := context.Background()
	stream, err := dom.DialStream(ctx, url, dom.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	for _, line := range []string{"hello", "world"} {
		if err := stream.Write(ctx, engine.OpText, []byte(line)); err != nil {
			log.Fatal(err)
		}
		_, p, err := stream.Read(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(p))
	}
	_ = stream.Close()
	_, _ = stream.Wait(ctx)
	// Output:
	// HELLO
	// WORLD
}

type order struct {
	Item  string
	Count int
}

// The client of bench/peers/ported/coder, line by line.
func ask(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := dom.DialStream(ctx, url, dom.Options{})
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := stream.WriteJSON(ctx, order{"tea", 2}); err != nil {
		return err
	}
	var confirmed order
	if err := stream.ReadJSON(ctx, &confirmed); err != nil {
		return err
	}
	fmt.Println(confirmed.Count, confirmed.Item)
	return stream.CloseWith(engine.StatusNormalClosure, "")
}

func ExampleDialStream() {
	server, err := engine.NewServer(dom.StreamHandler(func(stream *dom.Stream) {
		var o order
		if stream.ReadJSON(context.Background(), &o) == nil {
			o.Item = "cups of " + o.Item
			_ = stream.WriteJSON(context.Background(), o)
		}
		_, _, _ = stream.Read(context.Background()) // up to the client's Close
	}), engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	url := listen(server)
	defer server.Close()
	if err := ask(context.Background(), url); err != nil {
		log.Fatal(err)
	}
	// Output: 2 cups of tea
}

// listen serves on a port of the system's choice, and answers the URL.
func listen(server *engine.Server) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(ln)
	return "ws://" + ln.Addr().String()
}
