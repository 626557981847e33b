package codec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestEveryErrorKnowsItsCodeAndRule(t *testing.T) {
	texts := map[string]Error{}
	for e := Error(1); e < errorCount; e++ {
		if other, ok := texts[e.Error()]; ok {
			t.Errorf("errors %d and %d read the same: %q", e, other, e.Error())
		}
		texts[e.Error()] = e
		if !strings.HasPrefix(e.Error(), "codec: ") {
			t.Errorf("error %d: text %q", e, e.Error())
		}
		if !strings.HasPrefix(e.Rule(), "RFC 6455 ") && !strings.HasPrefix(e.Rule(), "RFC 7692 ") {
			t.Errorf("%v: rule %q names no RFC", e, e.Rule())
		}
		want := StatusProtocolError
		switch {
		case e == ErrCloseReason:
			want = StatusInvalidFramePayloadData
		case e >= ErrSendCode:
			want = 0
		}
		if e.Code() != want {
			t.Errorf("%v: code %d, want %d", e, e.Code(), want)
		}
	}
}

func TestErrorsCompare(t *testing.T) {
	err := fmt.Errorf("reading: %w", error(ErrMasked))
	if !errors.Is(err, ErrMasked) || errors.Is(err, ErrNotMasked) {
		t.Errorf("errors.Is does not tell %v from %v", ErrMasked, ErrNotMasked)
	}
	var e Error
	if !errors.As(err, &e) || e.Code() != 1002 {
		t.Errorf("errors.As found %v with code %d", e, e.Code())
	}
}

func TestUnknownErrorDoesNotPanic(t *testing.T) {
	for _, e := range []Error{0, errorCount, 255} {
		if e.Error() != "codec: no error" || e.Code() != 0 || e.Rule() != "" {
			t.Errorf("error %d: %q, %d, %q", e, e.Error(), e.Code(), e.Rule())
		}
	}
}
