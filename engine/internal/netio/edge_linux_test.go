//go:build !poll_opt

package netio

import "testing"

// TestUnreadComesOnceATurn: a descriptor that arrives anew while it was to come again is
// reported once, however long it is left unread.
func TestUnreadComesOnceATurn(t *testing.T) {
	n, err := NewNative()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Release()
	if !n.edge.on {
		t.Fatal("the poller's descriptor was not found: every event costs a second look")
	}
	h := &countingHandler{}
	n.handler = h
	for turn := 1; turn <= 5; turn++ {
		n.edge.turn()
		n.arrived(7, Readable, false)
		n.reportAgain()
		if h.events != turn {
			t.Fatalf("%d events in %d turns", h.events, turn)
		}
		if len(n.edge.again) != 1 {
			t.Fatalf("%d entries for one descriptor", len(n.edge.again))
		}
	}
}

type countingHandler struct{ events int }

func (h *countingHandler) OnEvent(int, Event) { h.events++ }
func (h *countingHandler) OnWake() bool       { return true }
func (h *countingHandler) OnBatchEnd()        {}
