package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Tick is a small update: what a price or a position feed sends. It has its own length, whatever size is.
func Tick(r *rand.Rand, _ int) []byte {
	return fmt.Appendf(nil, `{"type":"tick","symbol":%q,"bid":%.2f,"ask":%.2f,"ts":1753%06d,"seq":%d}`,
		pick(r, "BTC-USD", "ETH-USD", "SOL-USD", "EUR-USD"), price(r), price(r), r.IntN(1e6), r.IntN(1e5))
}

// price has its product rounded by the conversion: where a processor could fuse it with the sum, the last digit of some
// message, and so every size, would be another.
func price(r *rand.Rand) float64 { return 100 + float64(r.Float64()*900) }

// Orders is a list of records in JSON, cut at size, which is 60 or more.
func Orders(r *rand.Rand, size int) []byte {
	b := fmt.Appendf(nil, `{"channel":"orders","page":%d,"items":[`, r.IntN(1000))
	for len(b) < size {
		b = fmt.Appendf(b, `{"id":%d,"user":"u%d","price":%d.%02d,"side":%q,"status":%q,"ts":17%08d},`,
			r.IntN(1e6), r.IntN(997), r.IntN(5000), r.IntN(100), pick(r, "buy", "sell"),
			pick(r, "open", "filled", "cancelled", "partially filled"), r.IntN(1e8))
	}
	return append(b[:size-2], "]}"...)
}

var words = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have from or had
	an they which one you were all her she there would their we him been has when who will no more if out so up said what its
	about than into them can only other time new some could these two may first then do any like my now over such our man me
	even most made after also did many off before must well back through years much where your way down should because long
	each just state those people too mr how little good world make very year still see own work men day get here old between`)

// Page is prose in markup, cut at size, which is 100 or more.
func Page(r *rand.Rand, size int) []byte {
	b := []byte(`<!doctype html><html><head><meta charset="utf-8"><title>`)
	b = append(prose(r, b, 5), "</title></head><body>\n"...)
	for len(b) < size {
		switch r.IntN(4) {
		case 0:
			b = fmt.Appendf(b, `<h2 id="s%d">`, r.IntN(1000))
			b = append(prose(r, b, 4), "</h2>\n"...)
		case 1:
			b = fmt.Appendf(b, `<li class="item"><a href="/articles/%d/%s">`, r.IntN(1e5), words[r.IntN(len(words))])
			b = append(prose(r, b, 6), "</a></li>\n"...)
		default:
			b = append(b, `<p class="text">`...)
			b = append(prose(r, b, 40), "</p>\n"...)
		}
	}
	return b[:size]
}

func prose(r *rand.Rand, b []byte, n int) []byte {
	for range n {
		// Common words come more often, as in prose.
		b = append(b, words[int(float64(len(words))*r.Float64()*r.Float64())]...)
		b = append(b, ' ')
	}
	return b[:len(b)-1]
}

// Random is size bytes that nothing compresses.
func Random(r *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }
