package goclients

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// How the server under test compresses: GANNET_DEFLATE and GANNET_WINDOW, the values of its --deflate and
// --deflate-window. Where the environment names neither them nor a server, the one that is started shares compressors.
var (
	deflateMode = "off"
	windowBits  = 15
)

func readDeflateSettings() (err error) {
	if mode := os.Getenv("GANNET_DEFLATE"); mode != "" {
		deflateMode = mode
	} else if addr == "" {
		deflateMode = "shared"
	}
	if bits := os.Getenv("GANNET_WINDOW"); bits != "" {
		windowBits, err = strconv.Atoi(bits)
	}
	return err
}

// serverKeeps reports whether the server's messages point at earlier ones unless it is asked not to.
func serverKeeps() bool { return deflateMode == "shared" || deflateMode == "own" }

// kinds make a text of n bytes that a compressor likes, hates or ignores.
var kinds = []func(r *rand.Rand, n int) []byte{
	func(r *rand.Rand, n int) []byte { // 6.5 bits a byte
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(' ' + r.IntN(95))
		}
		return b
	},
	func(r *rand.Rand, n int) []byte {
		var b []byte
		for len(b) < n {
			b = fmt.Appendf(b, `{"id":%d,"side":"%s","price":%.2f},`, r.IntN(1e6), []string{"buy", "sell"}[r.IntN(2)], r.Float64()*5000)
		}
		return b[:n]
	},
	func(r *rand.Rand, n int) []byte {
		words := strings.Fields("the gannet folds its wings and falls from thirty metres into cold green water where mackerel turn")
		var b []byte
		for len(b) < n {
			b = append(append(b, words[r.IntN(len(words))]...), ' ')
		}
		return b[:n]
	},
	func(_ *rand.Rand, n int) []byte { return []byte(strings.Repeat("g", n)) },
}

// wave is sizes up to 46,368 bytes and down again, by the golden ratio.
func wave() []int {
	up := []int{0, 1, 2, 3}
	for up[len(up)-1] < 46_368 {
		up = append(up, up[len(up)-1]+up[len(up)-2])
	}
	for i := len(up) - 2; i >= 0; i-- {
		up = append(up, up[i])
	}
	return up
}

// texts are of each kind, in turn, at every size; the same in every run.
func texts(sizes []int) (all [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range sizes {
		for _, kind := range kinds {
			all = append(all, kind(r, n))
		}
	}
	return all
}

// deflateStats are the server's counters of compressed messages.
type deflateStats struct {
	Conns                               int64
	MessagesIn, WireBytesIn, BytesIn    int64
	MessagesOut, WireBytesOut, BytesOut int64
}

func readStats(t *testing.T) deflateStats {
	t.Helper()
	answer, err := http.Get("http://" + addr + "/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var all struct{ Deflate deflateStats }
	if err := json.NewDecoder(answer.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all.Deflate
}

// counted is what the counters grew by while act ran: it had messages echoed, all of them compressed by the client. The
// server counts what a turn received when that ends, and an echo may leave before: that is waited for.
func counted(t *testing.T, messages int, act func()) deflateStats {
	t.Helper()
	if deflateMode == "off" {
		messages = 0
	}
	before := readStats(t)
	act()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		now := readStats(t)
		grown := deflateStats{
			MessagesIn: now.MessagesIn - before.MessagesIn, WireBytesIn: now.WireBytesIn - before.WireBytesIn, BytesIn: now.BytesIn - before.BytesIn,
			MessagesOut: now.MessagesOut - before.MessagesOut, WireBytesOut: now.WireBytesOut - before.WireBytesOut, BytesOut: now.BytesOut - before.BytesOut,
		}
		switch {
		case grown.MessagesIn == int64(messages):
			return grown
		case time.Now().After(end):
			t.Fatalf("%d compressed messages were sent, the server counts %+v", messages, grown)
		}
	}
}

// sixteenLetters is noise of four bits a byte: alone it takes half of its length, and no more than a few bytes where the
// same noise was in an earlier message.
func sixteenLetters(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('A' + r.IntN(16))
	}
	return b
}

// wantWire holds what count times the same 200 sixteenLetters took on the wire against whether earlier messages may be
// pointed at.
func wantWire(t *testing.T, what string, wire int64, count int, pointing bool) {
	t.Helper()
	whole := int64(200 * count)
	if pointing && wire > whole/5 || !pointing && wire < whole*45/100 {
		t.Errorf("%s: %d times 200 bytes took %d; pointing at earlier ones is %v", what, count, wire, pointing)
	}
}

// answer is what RFC 7692 7.1 and the server's policy make of an offer without client_max_window_bits; serverBits 0: of
// one without server_max_window_bits as well.
func answer(serverNCT, clientNCT bool, serverBits int) string {
	if deflateMode == "off" {
		return ""
	}
	text := "permessage-deflate"
	if serverNCT || !serverKeeps() {
		text += "; server_no_context_takeover"
	}
	if clientNCT || windowBits < 15 {
		text += "; client_no_context_takeover"
	}
	if serverBits == 0 && windowBits < 15 {
		serverBits = windowBits
	}
	if serverBits != 0 {
		text += fmt.Sprintf("; server_max_window_bits=%d", min(serverBits, windowBits))
	}
	return text
}
