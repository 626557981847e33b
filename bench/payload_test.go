package bench

import (
	"fmt"
	"testing"
)

// payloadSizes are the sizes that the project's bars are set at: a chat message, a page of JSON, what fits one read,
// and what does not.
var payloadSizes = []int{16, 128, 1 << 10, 16 << 10, 1 << 20}

func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	}
	return fmt.Sprintf("%dB", n)
}

// unitPerMessage is of benchmarks without a process of their own: time a message.
const unitPerMessage = "ns/msg"

// perMessage reports the time per message of a benchmark whose iterations each handle several.
func perMessage(b *testing.B, messages int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(messages), unitPerMessage)
}
