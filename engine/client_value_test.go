package engine

import (
	"fmt"
	"testing"
)

// TestDialValue: every callback of a connection that begins here finds DialOptions.Value, also where nothing answers.
func TestDialValue(t *testing.T) {
	_, at := echoes(t)
	said := make(chan string, 10)
	note := func(what string) func(*Conn) { return func(c *Conn) { said <- fmt.Sprint(what, " ", c.Value()) } }
	client := newClient(t, Funcs{
		Open:    func(c *Conn) { note("open")(c); _ = c.SendText("x") },
		Message: func(c *Conn, _ Message) { note("message")(c); c.SetValue(nil); _ = c.Close() },
		Error:   func(c *Conn, _ error) { note("error")(c) },
		Close:   func(c *Conn, _ CloseEvent) { note("close")(c) },
	}, ClientOptions{})
	for _, trial := range []struct {
		url  string
		want []string
	}{
		{"ws://" + at, []string{"open 7", "message 7", "close <nil>"}},
		{"ws://127.0.0.1:1", []string{"error 7", "close 7"}},
	} {
		if _, err := client.Start(trial.url, DialOptions{Value: 7, AllowPort: 1}); err != nil {
			t.Fatal(err)
		}
		for _, want := range trial.want {
			if got := receive(t, said, want); got != want {
				t.Errorf("%s: %q, want %q", trial.url, got, want)
			}
		}
	}
}

// TestValueWaitsForNothing: a callback asks for it at every message, while somebody else is in a Send.
func TestValueWaitsForNothing(t *testing.T) {
	c := new(Conn)
	c.SetValue("kept")
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.Value(); v != "kept" {
		t.Error(v)
	}
	c.SetValue(nil)
	if v := c.Value(); v != nil {
		t.Error(v)
	}
	if v := new(Conn).Value(); v != nil {
		t.Error(v)
	}
}
