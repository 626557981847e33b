package pool

import (
	"reflect"
	"testing"
)

// TestStatsAdd: no field is forgotten, the next one neither.
func TestStatsAdd(t *testing.T) {
	var s, o Stats
	for i, v := range []reflect.Value{reflect.ValueOf(&s).Elem(), reflect.ValueOf(&o).Elem()} {
		for f := range v.NumField() {
			n := (f + 1) << (10 * i)
			v.Field(f).Set(reflect.ValueOf(n).Convert(v.Field(f).Type()))
		}
	}
	sum := reflect.ValueOf(s.Add(o))
	for f := range sum.NumField() {
		n := f + 1
		if got := reflect.ValueOf(n + n<<10).Convert(sum.Field(f).Type()); !got.Equal(sum.Field(f)) {
			t.Errorf("%s: %v, want %v", sum.Type().Field(f).Name, sum.Field(f), got)
		}
	}
}
