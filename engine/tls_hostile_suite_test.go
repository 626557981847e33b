package engine

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// The hostile suites of plain connections, over TLS (see secured). Those that work below the socket (tapes, pure functions) are no
// different there, and not repeated.

func inTLS(t *testing.T, tests ...func(*testing.T)) {
	onceAndRaced(t)
	t.Run("tls", func(t *testing.T) {
		for _, test := range tests {
			name := runtime.FuncForPC(reflect.ValueOf(test).Pointer()).Name()
			t.Run(name[strings.LastIndexByte(name, '.')+1:], test)
		}
	})
}

func TestHostileFramesOverTLS(t *testing.T) {
	inTLS(t, TestIllegalFrames, TestFloodOfFragments, TestFloodOfPings, TestFloodOfMessagesNobodyReadsTheAnswersOf,
		TestAnswersLargerThanQuestions, TestCloseIgnored, TestLengths, TestInvalidTextOverTheSocket)
}

func TestHostileHandshakesOverTLS(t *testing.T) {
	inTLS(t, TestHandshakes, TestSlowHeadsOverTheSocket, TestPipelinedFrames, TestRefusalNobodyTakes, TestOrigins,
		TestDecidingLater, TestDecidingLaterHoldsLittle)
}

func TestHostileResourcesOverTLS(t *testing.T) {
	inTLS(t, TestPeerThatNeverSends, TestManyVanish, TestThousandsClosedAtOnce, TestShutdownWhileAllAreSending, TestMaxConns,
		TestMaxConnsPerAddressSparesOthers, TestInboundBudgetHoarders, TestInboundBudgetClosesTheWorst, TestMemoryFollowsBytesReceived)
}

func TestHostileStatesOverTLS(t *testing.T) {
	inTLS(t, TestResetInEveryState, TestHalfCloseInEveryState, TestSilenceInEveryState)
}

func TestHostileHandlersOverTLS(t *testing.T) {
	inTLS(t, TestHandlerMisbehavesInEveryCallback, TestHandlerPanics, TestPanicWhileDeciding, TestHandlerBlocks, TestLoopWithoutTime,
		TestSendCloseTerminateFromEverywhere, TestNothingElseEverLeaves)
}

func TestHostileDeflateOverTLS(t *testing.T) {
	inTLS(t, TestDeflateBombMemory, TestDeflateMaxRatio, TestDeflateBombsPipelined, TestDeflateManyBombs, TestDeflateBudgetHoarders,
		TestDeflateMemoryFollowsBytesReceived, TestDeflateRSV1, TestDeflateLengths, TestDeflateLengthsBesideInnocent, TestDeflateOffers,
		TestDeflatePeerGoesInTheMiddle, TestDeflateStalledReader, TestDeflateFloodNobodyReadsTheAnswersOf, TestDeflateLongAnswersBesideInnocent,
		TestDeflateManyStall, TestDeflateClosedMidFlood, TestDeflateBrokenStreams, TestDeflateNoTakeover)
}

func TestHostileServersOverTLS(t *testing.T) {
	inTLS(t, TestClientHostileAnswers, TestClientServerGoes, TestClientServerThatNeverReads, TestClientCloseIgnored, TestClientHostileFrames,
		TestClientHostileFloods, TestClientFloodOfSmallMessages, TestClientMemoryFollowsBytesReceived, TestClientBombs, TestClientNothingBehindAClose)
}
