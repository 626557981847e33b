package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"gonum.org/v1/plot"

	"github.com/gannet-ws/gannet/bench/load"
)

// pageOf is a result's page, parsed as a browser parses it.
func pageOf(t *testing.T, r *load.Result) (source string, root *html.Node) {
	t.Helper()
	var out bytes.Buffer
	if err := HTML(&out, r); err != nil {
		t.Fatal(err)
	}
	root, err := html.Parse(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), root
}

// TestHTMLHarmless: whatever the peer says, the page runs nothing and fetches nothing, and has the elements that it has without that.
func TestHTMLHarmless(t *testing.T) {
	allowed := map[string]bool{}
	for _, tag := range strings.Fields("html head meta title style body header h1 h2 p b small em i span div section ul li figure figcaption table tbody tr th td dl dt dd svg g path text") {
		allowed[tag] = true
	}
	_, root := pageOf(t, hostile())
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if !allowed[n.Data] {
			t.Errorf("there is a <%s>", n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" || strings.Contains(a.Val, "url(") {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		}
	}
	if text := textOf(root); !strings.Contains(text, "<script>alert(1)</script>") || strings.ContainsAny(text, "\x1b\u202e\a") {
		t.Errorf("what the peer said is not shown as it is, or not without control characters: %s", text)
	}
}

// textOf is what a reader sees, a line for each block.
func textOf(n *html.Node) string {
	var b strings.Builder
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.Data == "style" || n.Data == "svg":
			return
		}
		for c := range n.ChildNodes() {
			walk(c)
			if c.Data == "td" || c.Data == "th" || c.Data == "b" || c.Data == "dt" || c.Data == "em" {
				b.WriteString(" ")
			}
		}
	}
	walk(n)
	var lines []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func TestHTMLGolden(t *testing.T) {
	for name, r := range map[string]*load.Result{"page.txt": canned(), "search-page.txt": search(), "nothing-page.txt": {}} {
		_, root := pageOf(t, r)
		golden(t, name, []byte(textOf(root)))
	}
}

// TestHTMLCharts: each chart is a picture that is well-formed, in the page's colors, and there is none of nothing.
func TestHTMLCharts(t *testing.T) {
	source, _ := pageOf(t, canned())
	pictures := 0
	for _, rest := range strings.Split(source, "<svg ")[1:] {
		pictures++
		body, _, _ := strings.Cut(rest, "</svg>")
		d := xml.NewDecoder(strings.NewReader("<svg " + body + "</svg>"))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("picture %d: %v", pictures, err)
			}
		}
		for _, raw := range []string{"#0A00", "Liberation", "NaN", "Inf"} {
			if strings.Contains(body, raw) {
				t.Errorf("picture %d has %s in it", pictures, raw)
			}
		}
	}
	if pictures != 7 {
		t.Errorf("%d pictures, want 7", pictures)
	}
	if source, _ = pageOf(t, search()); strings.Contains(source, "<svg ") {
		t.Error("there are pictures of a result without a series")
	}
}

// TestHTMLOfFew: one moment, and moments of zeros, make a page.
func TestHTMLOfFew(t *testing.T) {
	for _, series := range [][]load.Moment{{{At: 1, Rate: 5, P50: 1}}, {{}}, {{At: 1}, {At: 2}}, {{At: 1, P50: 1e-9}, {At: 1, P50: 1e9}}} {
		source, _ := pageOf(t, &load.Result{Series: series})
		if strings.Contains(source, "NaN") || strings.Contains(source, "Inf") {
			t.Errorf("%v: a figure that is none", series)
		}
	}
}

// TestThin: a long run has as many points as one can see, and no trouble is lost.
func TestThin(t *testing.T) {
	r := canned()
	r.Series = nil
	for at := range 10_001 {
		r.Series = append(r.Series, load.Moment{At: float64(at), Rate: 10, P99: 1, Errors: 1, Open: int64(at)})
	}
	r.Series[5000].P99 = 777
	thinned, each := thin(r.Series)
	if len(thinned) > mostPoints || each != 26 {
		t.Errorf("%d points, each of %d", len(thinned), each)
	}
	var errors int64
	worst := 0.0
	for _, m := range thinned {
		errors += m.Errors
		worst = max(worst, m.P99)
		if math.Abs(m.Rate-10) > 1e-9 {
			t.Errorf("at %v the rate is %v", m.At, m.Rate)
		}
	}
	if errors != 10_001 || worst != 777 || thinned[len(thinned)-1].Open != 10_000 {
		t.Errorf("%d errors, worst %v, last %+v", errors, worst, thinned[len(thinned)-1])
	}
	if source, _ := pageOf(t, r); len(source) > 500_000 || !strings.Contains(source, "joins 26 seconds") {
		t.Errorf("a page of %d bytes", len(source))
	}
}

func TestTicks(t *testing.T) {
	labels := func(ticks func(low, high float64) []plot.Tick, low, high float64) string {
		var all []string
		for _, tick := range ticks(low, high) {
			all = append(all, tick.Label)
		}
		return strings.Join(all, " ")
	}
	for _, c := range []struct{ got, want string }{
		{labels(numberTicks, -3, 60), "0 10 20 30 40 50 60"},
		{labels(numberTicks, 0, 21_600), "0 5000 10k 15k 20k"},
		{labels(numberTicks, 0, 0.8), "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"},
		{labels(numberTicks, 0, 1), "0 0.2 0.4 0.6 0.8 1"},
		{labels(byteTicks, 0, 66<<20), "0 10 MiB 20 MiB 30 MiB 40 MiB 50 MiB 60 MiB"},
		{labels(byteTicks, 0, 3000), "0 512 B 1.0 KiB 1.5 KiB 2.0 KiB 2.5 KiB"},
		{labels(powerTicks, 0.01, 2500), "0.01 0.1 1 10 100 1000"},
		{labels(powerTicks, 0.2, 6), "0.2 0.5 1 2 5"},
		{labels(ninesTicks, 0, 4.2), "0 50 90 99 99.9 99.99"},
	} {
		if c.got != c.want {
			t.Errorf("%s, want %s", c.got, c.want)
		}
	}
}
