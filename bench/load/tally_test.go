package load

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// random is a tally with something in every field.
func random(r *rand.Rand) *Tally {
	t := NewTally()
	for _, n := range t.counts() {
		*n = r.Int64N(1000)
	}
	t.Open, t.BufferedAmount, t.RSS, t.Loops, t.CPU = r.Int64N(100), r.Int64N(100), r.Int64N(100), 1+r.IntN(4), float64(r.IntN(8))
	t.Fail(Closed, "1006", 1+r.Int64N(5))
	t.Fail(Refused, "", 1)
	for _, h := range t.histograms() {
		for range 100 {
			_ = (*h).RecordValue(shortest + r.Int64N(longest-shortest))
		}
	}
	return t
}

func TestTallyAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a, b := random(r), random(r)
	sum := NewTally()
	sum.Add(a)
	sum.Add(b)
	for i, n := range sum.counts() {
		if *n != *a.counts()[i]+*b.counts()[i] {
			t.Errorf("count %d: %d, want %d + %d", i, *n, *a.counts()[i], *b.counts()[i])
		}
	}
	if sum.Open != a.Open+b.Open || sum.RSS != a.RSS+b.RSS || sum.Loops != a.Loops+b.Loops || sum.CPU != a.CPU+b.CPU {
		t.Errorf("what is of one moment does not add up: %+v", sum)
	}
	if got, want := sum.Errors[Closed]["1006"], a.Errors[Closed]["1006"]+b.Errors[Closed]["1006"]; got != want {
		t.Errorf("%d errors, want %d", got, want)
	}
	for i, h := range sum.histograms() {
		want := (*a.histograms()[i]).Clone()
		if dropped := want.Merge(*b.histograms()[i]); dropped != 0 || !want.Equals(*h) {
			t.Errorf("histogram %d is not the sum", i)
		}
	}
	a.Follow(b)
	if a.Open != b.Open || a.RSS != b.RSS || a.Loops != b.Loops || a.BufferedAmount != b.BufferedAmount {
		t.Errorf("after Follow what is of one moment is not the later one's: %+v", a)
	}
}

// TestTallyCounts: every number of a tally is added, those of a moment apart.
func TestTallyCounts(t *testing.T) {
	ofAMoment := map[string]bool{"Open": true, "BufferedAmount": true, "RSS": true}
	want := 0
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Tally]()) {
		if f.Type.Kind() == reflect.Int64 && !ofAMoment[f.Name] {
			want++
		}
	}
	if got := len(new(Tally).counts()); got != want {
		t.Errorf("%d counts are added, Tally has %d", got, want)
	}
}

// TestManyKindsOfErrors: none is forgotten, and they do not fill the memory.
func TestManyKindsOfErrors(t *testing.T) {
	tally := NewTally()
	for i := range 1000 {
		tally.Fail(Closed, fmt.Sprint(i), 1)
		tally.Fail(Class(fmt.Sprint(i)), "", 1)
		tally.Fail(Closed, "0", 1)
	}
	if n := failures(tally); n != 3000 {
		t.Errorf("%d errors, want 3000", n)
	}
	if len(tally.Errors) > mostClasses+1 || len(tally.Errors[Closed]) > mostKinds+1 || tally.Errors[Closed]["0"] != 1001 {
		t.Errorf("%d classes, %d kinds, %d of the first", len(tally.Errors), len(tally.Errors[Closed]), tally.Errors[Closed]["0"])
	}
}

func TestTallyJSON(t *testing.T) {
	want := random(rand.New(rand.NewPCG(3, 4)))
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Tally
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&got)
	if err != nil || string(again) != string(b) {
		t.Fatalf("%v\n%s\n%s", err, b, again)
	}
	for i, h := range got.histograms() {
		if !(*h).Equals(*want.histograms()[i]) {
			t.Errorf("histogram %d came back as another one", i)
		}
	}
	if got.Sent != want.Sent || !reflect.DeepEqual(got.Errors, want.Errors) {
		t.Errorf("%+v, want %+v", got, want)
	}
	// Histograms of nothing are left out, and are there again.
	b, err = json.Marshal(NewTally())
	if err != nil || len(b) > 500 {
		t.Errorf("%d bytes of nothing, %v", len(b), err)
	}
	var none Tally
	if err := json.Unmarshal(b, &none); err != nil || none.Latency == nil {
		t.Errorf("%v, %v", none.Latency, err)
	}
	for _, wrong := range []string{`{"Latency":"x"}`, `{"Sent":"1"}`, `[]`, `{"Latency":"HISTFAAAACZ42pNpmSzMwMDAwwABzFCaEUzDZG2YbAHn"}`} {
		if err := json.Unmarshal([]byte(wrong), &none); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}
