package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gannet-ws/gannet/bench/load"
)

// TestJSONComesBack: what JSON writes is the result again, and the rate reached is "rate".
func TestJSONComesBack(t *testing.T) {
	var out bytes.Buffer
	want := canned()
	if err := JSON(&out, want); err != nil {
		t.Fatal(err)
	}
	var got load.Result
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want.Whole = nil // is in no JSON
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("%+v\nwant\n%+v", &got, want)
	}
	var named struct{ Rate float64 }
	if err := json.Unmarshal(out.Bytes(), &named); err != nil || named.Rate != want.Rate {
		t.Errorf("rate is %v, %v; want %v", named.Rate, err, want.Rate)
	}
}

func TestCSVReads(t *testing.T) {
	var out bytes.Buffer
	if err := CSV(&out, canned()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != 1+len(canned().Series) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if fields := reflect.TypeFor[load.Moment]().NumField() - 1; len(rows[0]) != fields { // all but the histogram
		t.Errorf("%d columns for %d figures", len(rows[0]), fields)
	}
}

// TestHDRReads: the log is read by HdrHistogram's reader, and what it holds is what was measured.
func TestHDRReads(t *testing.T) {
	r := canned()
	whole := readHDR(t, r)
	for tag, want := range map[string]*hdrhistogram.Histogram{"": r.Whole.Latency, "raw": r.Whole.Raw, "connect": r.Whole.Connect, "lateness": r.Whole.Lateness} {
		if len(whole[tag]) != 1 || !whole[tag][0].Equals(want) {
			t.Errorf("tag %q: %d histograms, or another one", tag, len(whole[tag]))
		}
	}
	if len(whole["ping"]) != 0 {
		t.Errorf("pings, of which there were none: %v", whole["ping"])
	}
	// With its seconds kept, each second's has its place.
	for i := range r.Series {
		second := load.NewTally()
		if m := r.Series[i]; m.P50 > 0 {
			_ = second.Latency.RecordValue(int64(m.P50 * 1e6))
			b, err := second.Latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
			if err != nil {
				t.Fatal(err)
			}
			r.Series[i].Histogram = string(b)
		}
	}
	seconds := readHDR(t, r)[""]
	if len(seconds) != 58 {
		t.Fatalf("%d seconds of 58 with answers", len(seconds))
	}
	if first := seconds[0]; first.StartTimeMs() != r.Sending.UnixMilli() || first.EndTimeMs() != r.Sending.UnixMilli()+1000 {
		t.Errorf("the first second is from %d to %d, sending began at %d", first.StartTimeMs(), first.EndTimeMs(), r.Sending.UnixMilli())
	}
	r.Series[10].Histogram = "no histogram"
	if err := HDR(io.Discard, r); err == nil || !strings.Contains(err.Error(), "second 7") {
		t.Errorf("a histogram that is none: %v", err)
	}
}

func readHDR(t *testing.T, r *load.Result) map[string][]*hdrhistogram.Histogram {
	t.Helper()
	var out bytes.Buffer
	if err := HDR(&out, r); err != nil {
		t.Fatal(err)
	}
	all := map[string][]*hdrhistogram.Histogram{}
	reader := hdrhistogram.NewHistogramLogReader(&out)
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			return all
		}
		all[h.Tag()] = append(all[h.Tag()], h)
	}
}

func TestHDRFor(t *testing.T) {
	r := canned()
	for path, start := range map[string]string{"run.hgrm": " Value", "RUN.HGRM": " Value", "run.hlog": "#[Logged", "run": "#[Logged"} {
		var out bytes.Buffer
		if err := HDRFor(path)(&out, r); err != nil || !strings.HasPrefix(out.String(), start) {
			t.Errorf("%s: %.20q, %v; want %q", path, out.String(), err, start)
		}
	}
	if err := Percentiles(io.Discard, search()); err == nil {
		t.Error("a distribution came of no histogram")
	}
}

var errBroken = errors.New("broken on purpose")

func broken(w io.Writer, _ *load.Result) error {
	_, _ = w.Write(bytes.Repeat([]byte("half"), 10_000))
	return errBroken
}

func words(w io.Writer, _ *load.Result) error {
	_, err := io.WriteString(w, "whole")
	return err
}

// TestWriteFile: a file is there whole or as it was, with its permissions, and nothing is left beside it.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	holds := func(want string) {
		t.Helper()
		b, err := os.ReadFile(path)
		info, _ := os.Stat(path)
		names, _ := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || string(b) != want || info.Mode().Perm() != 0o600 || len(names) != 2 {
			t.Errorf("%q, %v, %v, %v; want %q", b, err, info.Mode(), names, want)
		}
	}
	err := WriteFile(path, &load.Result{}, broken)
	var as *FileError
	if !errors.Is(err, errBroken) || !errors.As(err, &as) || as.Path != path {
		t.Errorf("%v", err)
	}
	holds("before")
	if err := CanWrite(path); err != nil {
		t.Error(err)
	}
	holds("before")
	if err := WriteFile(link, &load.Result{}, words); err != nil {
		t.Error(err)
	}
	holds("whole")
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
}

func TestWriteFileRefuses(t *testing.T) {
	dir := t.TempDir()
	for path, say := range map[string]string{dir: "is a directory", filepath.Join(dir, "none", "report.json"): "directory must exist"} {
		for _, err := range []error{WriteFile(path, &load.Result{}, words), CanWrite(path)} {
			var as *FileError
			if !errors.As(err, &as) || as.Path != path || !strings.Contains(err.Error(), say) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
}
