package deflate_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// Both ends of a connection, without the connection: a server negotiates and compresses, a client inflates.
func Example() {
	server, err := deflate.New(deflate.Policy{})
	if err != nil {
		log.Fatal(err)
	}
	client, err := deflate.New(deflate.Policy{ReceiveWindowBits: 12})
	if err != nil {
		log.Fatal(err)
	}
	offer := client.Offer()
	agreed, ok := server.Negotiate([][]byte{[]byte(offer)})
	if !ok {
		log.Fatal("declined")
	}
	accepted, _, err := client.Accept([][]byte{[]byte(agreed.String())})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(agreed)

	buffers := pool.New()
	sender, receiver := server.Sender(agreed, buffers), client.Receiver(accepted, buffers)
	defer sender.Close()
	defer receiver.Close()
	text := strings.Repeat("a gannet dives. ", 16)
	for range 2 { // the second message refers to the first
		wire, ok := sender.Compress(nil, []byte(text))
		var room [1024]byte // no message is longer here: see Receiver.Inflate for when it does not fit
		n, _, step, err := receiver.Inflate(room[:], wire, true)
		fmt.Println(ok, len(text), "bytes as", len(wire), "and back:", step == deflate.Done && err == nil && string(room[:n]) == text)
	}
	// Output:
	// permessage-deflate; server_max_window_bits=12
	// true 256 bytes as 21 and back: true
	// true 256 bytes as 5 and back: true
}
