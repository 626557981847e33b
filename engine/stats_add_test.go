package engine

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestStatsAdd: each field is in the sum, the next one that somebody adds as well, and the longer lag stands for both.
func TestStatsAdd(t *testing.T) {
	var s, o, want Stats
	n := uint64(0)
	fillStats(t, "Stats", reflect.ValueOf(&s).Elem(), reflect.ValueOf(&o).Elem(), reflect.ValueOf(&want).Elem(), &n)
	before := [2]string{asJSON(t, s), asJSON(t, o)}
	for name, got := range map[string]Stats{"s.Add(o)": s.Add(o), "o.Add(s)": o.Add(s)} {
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%s, want\n%s", name, asJSON(t, got), asJSON(t, want))
		}
		got.Closes[1000], got.TLS.Failed["left"] = 1<<60, 1<<60
	}
	if before != [2]string{asJSON(t, s), asJSON(t, o)} {
		t.Error("what was added has changed")
	}
}

// fillStats gives each field of s and o a value that no other one has, and want what they make.
func fillStats(t *testing.T, name string, s, o, want reflect.Value, n *uint64) {
	*n++
	a, b, sum := *n, *n<<20, *n+*n<<20
	if name == "Stats.LoopLag" {
		sum = b
	}
	set := func(k uint64, to reflect.Value) { to.Set(reflect.ValueOf(k).Convert(to.Type())) }
	switch s.Kind() {
	case reflect.Struct:
		for i := range s.NumField() {
			fillStats(t, name+"."+s.Type().Field(i).Name, s.Field(i), o.Field(i), want.Field(i), n)
		}
	case reflect.Map: // a key of each alone, and one of both
		keys := [3]any{1000, 1001, 1002}
		if s.Type().Key().Kind() == reflect.String {
			keys = [3]any{"left", "right", "both"}
		}
		fill := func(m reflect.Value, at map[int]uint64) {
			m.Set(reflect.MakeMap(m.Type()))
			for i, k := range at {
				m.SetMapIndex(reflect.ValueOf(keys[i]), reflect.ValueOf(k))
			}
		}
		fill(s, map[int]uint64{0: a, 2: a})
		fill(o, map[int]uint64{1: b, 2: b})
		fill(want, map[int]uint64{0: a, 1: b, 2: sum})
	case reflect.Int64, reflect.Uint64:
		set(a, s)
		set(b, o)
		set(sum, want)
	default:
		t.Fatalf("%s is a %s: this test does not know how such are added", name, s.Type())
	}
}

func TestStatsAddNothing(t *testing.T) {
	if said := asJSON(t, Stats{}.Add(Stats{})); strings.Contains(said, "null") {
		t.Error(said)
	}
	if lag := (Stats{LoopLag: time.Second}).Add(Stats{LoopLag: time.Minute}).LoopLag; lag != time.Minute {
		t.Error(lag)
	}
}

func asJSON(t *testing.T, s Stats) string {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
