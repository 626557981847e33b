package engine

import (
	"net/http"
	"time"
)

// date is the value of the Date field (RFC 9110 6.6.1), which changes once a second.
type date struct {
	text  string
	until time.Duration // by the loop's clock
}

// at is the date when the loop's clock says now. The machine's own is read once a second at most, and so a date may be behind
// by the time in which the loop did not look at its own.
func (d *date) at(now time.Duration) string {
	if d.text == "" || now >= d.until {
		t := time.Now()
		d.text = t.UTC().Format(http.TimeFormat)
		d.until = now + time.Second - time.Duration(t.Nanosecond())
	}
	return d.text
}
