package dom

import (
	"fmt"
	"io"

	"github.com/gannet-ws/gannet/engine"
)

// StreamClosed is what a Stream's calls answer when it is over, and how it ended: Code and Reason are the peer's. When
// the program has closed the stream itself they answer ErrClosed.
//
// It is ErrClosed and net.ErrClosed for errors.Is, and what Err is. It is io.EOF, too, when the peer closed with 1000, 1001 or
// without a code (1005) between two messages; and io.ErrUnexpectedEOF within one.
type StreamClosed struct {
	engine.CloseEvent
	within bool
}

func (e *StreamClosed) Error() string {
	text := fmt.Sprintf("gannet: the stream is over: code %d", e.Code)
	if e.Reason != "" {
		text += fmt.Sprintf(" %q", e.Reason)
	}
	if e.within {
		text += ", within a message"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Is makes the error io.EOF or io.ErrUnexpectedEOF.
func (e *StreamClosed) Is(target error) bool {
	switch target {
	case io.EOF:
		return e.normal()
	case io.ErrUnexpectedEOF:
		return e.within
	}
	return false
}

// Unwrap is ErrClosed, and why it was not clean.
func (e *StreamClosed) Unwrap() []error { return []error{engine.ErrClosed, e.Err} }

// normal: the peer had no more to say.
func (e *StreamClosed) normal() bool {
	switch e.Code {
	case engine.StatusNormalClosure, engine.StatusGoingAway, engine.StatusNoStatusRcvd:
		return e.WasClean && !e.within
	}
	return false
}
