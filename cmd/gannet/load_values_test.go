package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

func TestLoadRates(t *testing.T) {
	for text, want := range map[string]float64{
		"1000": 1000, "1000/s": 1000, "200k": 200e3, "1.5k/s": 1500, "2M": 2e6, "2m/s": 2e6, "600/m": 10, "1h": -1, "7200/h": 2, "0": 0, " 5 / s": 5, "1e3": 1000,
		"": -1, "/s": -1, "k": -1, "-1": -1, "1000/d": -1, "1000/": -1, "many": -1, "NaN": -1, "Inf": -1, "1e308k": -1, "0x10": -1, "1_000": -1, "1,000": -1, "5/s/s": -1,
	} {
		got, err := parseRate(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestLoadCounts(t *testing.T) {
	for text, want := range map[string]int{"100": 100, "20k": 20000, "1.5k": 1500, "1M": 1e6, "0": 0, "1.5": -1, "3G": -1, "-1": -1, "": -1, "ten": -1} {
		got, err := parseCount(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestLoadPhases(t *testing.T) {
	for text, want := range map[string]load.Phase{
		"30s:1000/s:20000":     {Duration: load.Duration(30 * time.Second), Rate: 1000, Connections: 20000},
		"1m:50k:ramp":          {Duration: load.Duration(time.Minute), Rate: 50e3, Ramp: true},
		"1m30s:0":              {Duration: load.Duration(90 * time.Second)},
		"10s:600/m:2k:ramp":    {Duration: load.Duration(10 * time.Second), Rate: 10, Connections: 2000, Ramp: true},
		" 10s : 5 : 3 : ramp ": {Duration: load.Duration(10 * time.Second), Rate: 5, Connections: 3, Ramp: true},
	} {
		if got, err := parsePhase(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "30s", "30s:", "30s:ramp", "1000/s:30s", "0s:5", "-1s:5", "30:5", "30s:5:x", "30s:5:3:4", "30s:5:3:ramp:ramp", "30s:5:ramp:3"} {
		if got, err := parsePhase(text); err == nil {
			t.Errorf("%q was taken as %+v", text, got)
		}
	}
}
