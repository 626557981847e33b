package engine

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// The face's constants and the codec's are the same numbers.
func TestStatusConstantsAgreeWithCodec(t *testing.T) {
	for ours, theirs := range map[int]codec.StatusCode{
		StatusNormalClosure: codec.StatusNormalClosure, StatusGoingAway: codec.StatusGoingAway, StatusProtocolError: codec.StatusProtocolError,
		StatusUnsupportedData: codec.StatusUnsupportedData, StatusNoStatusRcvd: codec.StatusNoStatusRcvd,
		StatusAbnormalClosure: codec.StatusAbnormalClosure, StatusInvalidFramePayloadData: codec.StatusInvalidFramePayloadData,
		StatusPolicyViolation: codec.StatusPolicyViolation, StatusMessageTooBig: codec.StatusMessageTooBig,
		StatusMandatoryExt: codec.StatusMandatoryExt, StatusInternalServerError: codec.StatusInternalServerError,
		StatusServiceRestart: codec.StatusServiceRestart, StatusTryAgainLater: codec.StatusTryAgainLater,
		StatusBadGateway: codec.StatusBadGateway, StatusTLSHandshake: codec.StatusTLSHandshake,
	} {
		if ours != int(theirs) {
			t.Errorf("engine says %d, codec %d", ours, theirs)
		}
	}
	// Without a type they go wherever a number goes.
	var _ int = StatusGoingAway
	var _ uint16 = StatusGoingAway
	var _ codec.StatusCode = StatusGoingAway
}

func TestCloseStatus(t *testing.T) {
	closed := &CloseError{StatusTryAgainLater, ErrSlowConsumer}
	for _, k := range []struct {
		err  error
		code int
	}{
		{nil, -1},
		{io.EOF, -1},
		{ErrClosed, -1},
		{ErrSlowConsumer, -1},
		{&UTF8Error{3}, -1},
		{closed, 1013},
		{fmt.Errorf("a: %w", fmt.Errorf("b: %w", closed)), 1013},
		{errors.Join(io.EOF, closed), 1013},
		{&CloseError{StatusAbnormalClosure, &lostError{io.ErrUnexpectedEOF}}, 1006},
		{&CloseError{StatusProtocolError, codec.ErrReservedBits}, 1002},
		{fmt.Errorf("wrapped: %w", codec.ErrCloseReason), 1007},
		{codec.ErrSendCode, -1}, // the caller's own mistake: nobody is sent a code
		{deflate.ErrWindow, 1002},
		{deflate.ErrRatio, 1009},
		{deflate.ErrAnswerSyntax, -1},
	} {
		if got := CloseStatus(k.err); got != k.code {
			t.Errorf("CloseStatus(%v) = %d, want %d", k.err, got, k.code)
		}
	}
}
