package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/bench/load"
)

// plainWidth is for what is no terminal.
const plainWidth = 100

// Text writes what a person reads at the end of a run. width is the terminal's, in characters; 0 is no terminal: plain characters, no colors.
// Prose is wrapped to the width; tables need about 60 characters.
func Text(w io.Writer, r *load.Result, width int) error {
	t := &text{width: width, styled: width > 0}
	if width <= 0 {
		t.width = plainWidth
	}
	t.width = max(t.width, 40)
	t.line(t.bold(oneLine(r.Plan.URL)))
	t.prose("", headline(r))
	t.warnings(r)
	t.verdict(r)
	t.messages(r)
	t.latency(r)
	t.errors(r)
	t.steps(r)
	t.machines(r)
	_, err := io.WriteString(w, t.String())
	return err
}

// text is a report while it is written.
type text struct {
	strings.Builder
	width  int
	styled bool
}

func (t *text) line(s string) { t.WriteString(strings.TrimRight(s, " ") + "\n") }

// heading begins a section.
func (t *text) heading(s string) {
	t.line("")
	if s != "" {
		t.line(t.bold(s))
	}
}

func (t *text) style(code, s string) string {
	if !t.styled {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *text) bold(s string) string   { return t.style("1", s) }
func (t *text) red(s string) string    { return t.style("1;31", s) }
func (t *text) green(s string) string  { return t.style("32", s) }
func (t *text) yellow(s string) string { return t.style("1;33", s) }

// prose wraps s behind a mark; the lines that follow the first are indented as far.
func (t *text) prose(mark, s string) {
	room := max(t.width-utf8.RuneCountInString(mark), 20)
	lead, line := mark, ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			t.line(lead + line)
			lead, line = strings.Repeat(" ", utf8.RuneCountInString(mark)), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	t.line(lead + line)
}

// table aligns cells: the first column to the left, the others to the right. A row's last cell may be words, in a column of their own
// to the left: notes is how many such columns there are, 0 or 1.
func (t *text) table(notes int, rows ...[]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case i == 0:
				b.WriteString("  " + cell + pad)
			case i >= len(widths)-notes:
				b.WriteString("  " + cell + pad)
			default:
				b.WriteString("  " + pad + cell)
			}
		}
		t.line(b.String())
	}
}

// verdict is whether the run ended well, and what was promised of it.
func (t *text) verdict(r *load.Result) {
	if r.Ended != "" && r.Ended != "done" {
		t.line(t.red("The run ended early: " + harmless(r.Ended)))
	}
	if len(r.Thresholds) == 0 {
		return
	}
	t.heading("Thresholds")
	var rows [][]string
	for _, v := range r.Thresholds {
		held := "held"
		if !v.Holds {
			held = "FAILED"
		}
		rows = append(rows, []string{oneLine(v.Threshold), held, oneLine(v.Value)})
	}
	t.colored(rows, func(i int) string {
		if r.Thresholds[i].Holds {
			return "32"
		}
		return "1;31"
	})
}

// colored is a table of words, each row in its color.
func (t *text) colored(rows [][]string, color func(int) string) {
	inner := &text{width: t.width}
	inner.table(2, rows...)
	for i, line := range strings.Split(strings.TrimSuffix(inner.String(), "\n"), "\n") {
		t.line(t.style(color(i), line))
	}
}

func (t *text) warnings(r *load.Result) {
	if len(r.Warnings) == 0 {
		return
	}
	t.heading("")
	t.line(t.yellow("Warnings: these figures may not be the server's"))
	for _, w := range r.Warnings {
		t.prose("! ", harmless(w))
	}
}

func (t *text) messages(r *load.Result) {
	c, m := r.Connections, r.Messages
	t.heading("Connections")
	opened := fmt.Sprintf("of %s asked for", count(c.Asked))
	if c.Opened > c.Asked {
		opened += "; they came back"
	}
	t.table(1,
		[]string{"opened", count(c.Opened), opened},
		[]string{"failed", count(c.Failed), ""},
		[]string{"lost", count(c.Lost), "ended though nobody here closed them"},
		[]string{"at once", count(c.Open), "at most"},
	)
	if m.Sent == 0 && m.Received == 0 && m.Due == 0 {
		return
	}
	t.heading("Messages")
	reached := "a second"
	if r.RateAsked > 0 {
		reached = fmt.Sprintf("a second of %s asked for: %s", rate(r.RateAsked), percent(r.Rate, r.RateAsked))
	}
	t.table(1,
		[]string{"rate reached", rate(r.Rate), reached},
		[]string{"sent", count(m.Sent), fmt.Sprintf("%s a second, %s", rate(r.SentRate), bytesOf(m.SentBytes))},
		[]string{"received", count(m.Received), bytesOf(m.ReceivedBytes)},
		[]string{"late", count(m.Late), percent(float64(m.Late), float64(m.Sent)) + " of those sent: more than 1 ms after their time"},
		[]string{"unsent", count(m.Unsent), percent(float64(m.Unsent), float64(m.Due)) + " of those due: no connection was open and writable"},
		[]string{"unanswered", count(m.Unanswered), percent(float64(m.Unanswered), float64(m.Sent)) + " of those sent, when the run ended"},
	)
}

// times are the rows of the table of latency.
var times = []struct {
	name string
	of   func(load.Distribution) float64
}{
	{"min", func(d load.Distribution) float64 { return d.Min }},
	{"mean", func(d load.Distribution) float64 { return d.Mean }},
	{"p50", func(d load.Distribution) float64 { return d.P50 }},
	{"p75", func(d load.Distribution) float64 { return d.P75 }},
	{"p90", func(d load.Distribution) float64 { return d.P90 }},
	{"p95", func(d load.Distribution) float64 { return d.P95 }},
	{"p99", func(d load.Distribution) float64 { return d.P99 }},
	{"p99.9", func(d load.Distribution) float64 { return d.P999 }},
	{"p99.99", func(d load.Distribution) float64 { return d.P9999 }},
	{"p99.999", func(d load.Distribution) float64 { return d.P99999 }},
	{"max", func(d load.Distribution) float64 { return d.Max }},
}

// clock is a column of the table of latency.
type clock struct {
	name string
	of   load.Distribution
	what string
}

// clocks are those that were read, messages first.
func clocks(r *load.Result) (all []clock) {
	corrected := "from when a message should have been sent to its answer"
	if r.Plan.Depth > 0 {
		corrected = "from when a message was sent to its answer"
	}
	if r.Plan.Scenario == load.Fanout {
		corrected = "from when a message should have been sent to each delivery"
	}
	ping := load.Distribution{}
	if r.Pings != nil {
		ping = *r.Pings
	}
	for _, c := range []clock{
		{"latency", r.Latency, corrected},
		{"raw", r.RawLatency, "from when it left: what most tools report; it hides what the server held up"},
		{"connect", r.ConnectTime, "from the start of an attempt to an open WebSocket"},
		{"ping", ping, "from a ping to its pong"},
	} {
		if c.of.Count > 0 && (c.name != "raw" || r.Plan.Depth == 0) {
			all = append(all, c)
		}
	}
	return all
}

// latency has corrected times beside raw ones, and those of connecting apart from those of messages.
func (t *text) latency(r *load.Result) {
	all := clocks(r)
	if len(all) == 0 {
		return
	}
	t.heading("Times in milliseconds")
	head, counts := []string{""}, []string{"count"}
	for _, c := range all {
		head, counts = append(head, c.name), append(counts, count(c.of.Count))
	}
	rows := [][]string{head}
	for _, q := range times {
		row := []string{q.name}
		for _, c := range all {
			row = append(row, milliseconds(q.of(c.of)))
		}
		rows = append(rows, row)
	}
	t.table(0, append(rows, counts)...)
	for _, c := range all {
		t.prose(fmt.Sprintf("  %-8s ", c.name), c.what)
	}
}

// errors are told class by class, the first class that of the most frequent error, each with what to do.
func (t *text) errors(r *load.Result) {
	if len(r.Errors) == 0 {
		t.heading("")
		t.line(t.green("No errors"))
		return
	}
	t.heading("")
	t.line(t.red(plural(r.ErrorTotal(), "error", "errors")))
	for _, g := range byClass(r.Errors) {
		var rows [][]string
		for _, e := range g.errors {
			rows = append(rows, []string{oneLine(string(e.Class)), count(e.Count), oneLine(e.What)})
		}
		t.table(1, rows...)
		t.prose("    ", advice(g.class))
	}
}

// group is the errors of a class.
type group struct {
	class  load.Class
	errors []load.ErrorCount
}

// byClass keeps the order of the first of each class.
func byClass(errors []load.ErrorCount) (groups []group) {
	at := map[load.Class]int{}
	for _, e := range errors {
		i, ok := at[e.Class]
		if !ok {
			i = len(groups)
			at[e.Class] = i
			groups = append(groups, group{class: e.Class})
		}
		groups[i].errors = append(groups[i].errors, e)
	}
	return groups
}

func (t *text) steps(r *load.Result) {
	if len(r.Steps) == 0 {
		return
	}
	t.heading("Search for the highest rate that holds " + oneLine(r.Plan.FindRate))
	rows := [][]string{{"messages/s", "reached", "p99 ms", "errors", ""}}
	for _, s := range r.Steps {
		rows = append(rows, []string{rate(s.Rate), rate(s.Reached), milliseconds(s.Latency.P99), count(s.Errors), stepVerdict(s)})
	}
	t.table(1, rows...)
}

func stepVerdict(s load.Step) string {
	if s.Holds {
		return "holds"
	}
	return strings.TrimSpace("does not hold " + oneLine(s.Why))
}

func (t *text) machines(r *load.Result) {
	if len(r.Generators) > 0 {
		t.heading("Generators")
		rows := [][]string{{"", "CPU s", "of its loops", "memory", "late p99 ms", "late max ms", ""}}
		for _, g := range r.Generators {
			lost := ""
			if g.Lost {
				lost = "LOST"
			}
			rows = append(rows, []string{
				oneLine(g.Name), fmt.Sprintf("%.2f", g.CPU), percent(g.CPUShare, 1), bytesOf(g.RSS),
				milliseconds(g.Lateness.P99), milliseconds(g.Lateness.Max), lost,
			})
		}
		t.table(1, rows...)
	}
	if g := r.Target; g != nil {
		t.heading("The target's process")
		t.table(1,
			[]string{"CPU", fmt.Sprintf("%.2f s", g.CPU), fmt.Sprintf("%.2f processors, %.2f microseconds a message", perSecond(g.CPU, r.Duration), g.CPUEach)},
			[]string{"memory", bytesOf(g.RSS), "at most"},
		)
	}
}

func perSecond(v, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return v / seconds
}
