package engine_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/gannet-ws/gannet/engine"
)

// JSON in, JSON out. What is not the JSON that was asked for closes the connection.
func ExampleConn_SendJSON() {
	type sum struct {
		A, B int
		Sum  int `json:",omitempty"`
	}
	s, ln := serve(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
		var q sum
		if err := m.JSON(&q); err != nil {
			_ = c.CloseWith(engine.StatusInvalidFramePayloadData, "not the JSON of a sum")
			return
		}
		q.Sum = q.A + q.B
		if err := c.SendJSON(q); err != nil {
			log.Print(err)
		}
	}})
	defer s.Close()

	talk(ln, `{"A":2,"B":3}`)
	// Output:
	// the client hears: {"A":2,"B":3,"Sum":5}
}

// The code that an error carries tells what became of the connection, without a look at the error's text.
func ExampleCloseStatus() {
	err := fmt.Errorf("order 17: %w", &engine.CloseError{Code: engine.StatusTryAgainLater, Err: engine.ErrSlowConsumer})
	switch engine.CloseStatus(err) {
	case engine.StatusAbnormalClosure:
		fmt.Println("the connection was lost")
	case engine.StatusTryAgainLater:
		fmt.Println("the peer is too slow")
	case -1:
		fmt.Println("no close code in it")
	}
	fmt.Println(errors.Is(err, engine.ErrSlowConsumer))
	// Output:
	// the peer is too slow
	// true
}
