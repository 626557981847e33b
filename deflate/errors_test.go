package deflate

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestErrors(t *testing.T) {
	seen := map[string]bool{}
	for e := Error(1); e < errorCount; e++ {
		if e.Rule() == "" || !strings.HasPrefix(e.Error(), "deflate: ") || seen[e.Error()] {
			t.Errorf("%d: %q, %q", e, e.Error(), e.Rule())
		}
		seen[e.Error()] = true
		peer := e < ErrAnswerSyntax
		if c := e.Code(); peer != (c == 1002 || c == 1007 || c == 1009) || !peer && c != 0 {
			t.Errorf("%v: code %d", e, c)
		}
		var err error = e
		var as Error
		if !errors.Is(err, e) || !errors.As(err, &as) || as != e {
			t.Errorf("%v is not itself", e)
		}
	}
	if Error(200).Error() != "deflate: no error" {
		t.Error("an unknown number")
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		want error
	}{
		{Policy{}, nil},
		{Policy{SendWindowBits: 8, ReceiveWindowBits: 15, Level: 9, HistoryBytes: 32768, MinSize: 1, MaxRatio: 1032, Takeover: OwnCompressor}, nil},
		{Policy{SendWindowBits: 7}, ErrWindowBits},
		{Policy{SendWindowBits: 16}, ErrWindowBits},
		{Policy{ReceiveWindowBits: -1}, ErrWindowBits},
		{Policy{Level: 10}, ErrLevel},
		{Policy{Level: -1}, ErrLevel},
		{Policy{HistoryBytes: 255}, ErrHistory},
		{Policy{HistoryBytes: 32769}, ErrHistory},
		{Policy{MinSize: -1}, ErrMinSize},
		{Policy{MaxRatio: 1}, ErrMaxRatio},
		{Policy{MaxRatio: 1033}, ErrMaxRatio},
		{Policy{Takeover: 3}, ErrTakeover},
		{Policy{FrameBytes: maxFrame}, nil},
		{Policy{FrameBytes: -1}, nil},
	} {
		if _, err := New(c.p); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.p, err, c.want)
		}
	}
	if tooLong := maxFrame; strconv.IntSize > 32 {
		tooLong++
		if _, err := New(Policy{FrameBytes: tooLong}); err != ErrFrameBytes {
			t.Errorf("a frame of %d bytes: %v", tooLong, err)
		}
	}
	x, _ := New(Policy{})
	if p := x.Policy(); p.SendWindowBits != 15 || p.HistoryBytes != DefaultHistoryBytes || p.Level != DefaultLevel || p.MinSize != DefaultMinSize || p.FrameBytes != DefaultFrameBytes {
		t.Errorf("defaults %+v", p)
	}
}
