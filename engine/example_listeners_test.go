package engine_test

import (
	"errors"
	"fmt"
	"log"
	"net"

	"github.com/gannet-ws/gannet/engine"
)

// One server on several addresses: each Serve in a goroutine of its own. Close, or Shutdown, ends all.
func ExampleServer_Addrs() {
	s, err := engine.NewServer(echo{}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error)
	for _, addr := range []string{"127.0.0.1:0", "127.0.0.1:0"} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			log.Fatal(err)
		}
		go func() { served <- s.Serve(ln) }()
		talk(ln.Addr(), "hello")
	}
	fmt.Println("listeners:", len(s.Addrs()))
	_ = s.Close()
	fmt.Println(<-served == engine.ErrServerClosed, <-served == engine.ErrServerClosed, len(s.Addrs()))
	// Unordered output:
	// the client hears: hello
	// closed: 1000 bye true
	// the client hears: hello
	// closed: 1000 bye true
	// listeners: 2
	// true true 0
}

// A service that systemd starts by its sockets, and that a person starts with an address.
func ExampleSystemdListeners() {
	inherited, err := engine.SystemdListeners()
	if err != nil {
		log.Fatal(err)
	}
	s, err := engine.NewServer(echo{}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error)
	for _, l := range inherited {
		go func() { ended <- s.Serve(l.Listener) }()
	}
	if len(inherited) == 0 {
		go func() { ended <- s.ListenAndServe("tcp", "localhost:8080") }()
	}
	if err := <-ended; !errors.Is(err, engine.ErrServerClosed) { // Shutdown ends all of them, one that fails ends alone
		log.Fatal(err)
	}
}
