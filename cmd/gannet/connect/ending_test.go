package connect

import (
	"errors"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// TestStatuses: the table of exit statuses.
func TestStatuses(t *testing.T) {
	for _, k := range []struct {
		e    engine.CloseEvent
		ours int
		want int
	}{
		{engine.CloseEvent{Code: 1000, WasClean: true}, 0, 0},
		{engine.CloseEvent{Code: 1001, WasClean: true}, 0, 0},
		{engine.CloseEvent{Code: 1005, WasClean: true}, 0, 0},
		{engine.CloseEvent{Code: 1000, WasClean: true}, 1000, 0},
		{engine.CloseEvent{Code: 4001, WasClean: true}, 4001, 0},
		{engine.CloseEvent{Code: 4001, WasClean: true}, 0, 3},
		{engine.CloseEvent{Code: 4002, WasClean: true}, 4001, 3},
		{engine.CloseEvent{Code: 1002, WasClean: true}, 0, 3},
		{engine.CloseEvent{Code: 1008, WasClean: true}, 0, 3},
		{engine.CloseEvent{Code: 1009, WasClean: true}, 0, 3},
		{engine.CloseEvent{Code: 1011, WasClean: true}, 1000, 3},
		{engine.CloseEvent{Code: 1012, WasClean: true}, 0, 3},
		{engine.CloseEvent{Code: 3000, WasClean: true}, 0, 3},
		{engine.CloseEvent{Code: 1006}, 0, 4},
		{engine.CloseEvent{Code: 1006}, 1000, 4},
	} {
		if got := statusOf(k.e, k.ours); got != k.want {
			t.Errorf("%+v, ours %d: %d, want %d", k.e, k.ours, got, k.want)
		}
	}
}

// TestCodesHaveNames: each code that can be seen has one, and a reason can not forge what is shown.
func TestCodesHaveNames(t *testing.T) {
	for _, code := range []int{1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 3000, 3999, 4000, 4999} {
		if name := codeName(code); name == "unknown" || name == "" {
			t.Errorf("%d is %q", code, name)
		}
	}
	got := describeClose(engine.CloseEvent{Code: 1011, Reason: "a \x1b[2J\nclosed: 1000", Err: &engine.CloseError{Code: 1006, Err: errors.New("gannet: why")}})
	if want := `closed: 1011 (internal server error) "a \x1b[2J\nclosed: 1000": why`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if strings.Count(describeClose(engine.CloseEvent{Code: 1000}), "\"") != 0 {
		t.Error("a reason where there was none")
	}
}
