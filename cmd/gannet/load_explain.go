package main

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// explainNobody says why not one connection opened, by the most frequent error, and what to do.
func explainNobody(p *load.Plan, counts []load.ErrorCount) error {
	if len(counts) == 0 {
		return failedRun("no connection to %s opened", p.URL)
	}
	e := counts[0]
	text := plain(e.What)
	switch e.Class {
	case load.Refused:
		return failedRun("%s: nobody listens there: is the server running, and is that its port?", p.URL)
	case load.TimedOut:
		return failedRun("%s: no connection opened within %v (%s): is that a WebSocket server? --connect-timeout allows more", p.URL, time.Duration(p.ConnectTimeout), text)
	case load.TLSFailed:
		return failedRun("%s: TLS failed (%s): --ca names who may sign the server's certificate, --insecure trusts any, and --cert gives ours if the server asks for one; "+
			"ws:// is without TLS", p.URL, text)
	case load.Handshake:
		return failedRun("%s", notAWebSocket(p.URL, text))
	case load.Exhausted:
		return failedRun("%s: this machine had no descriptor or no port left for even one connection (%s)", p.URL, text)
	}
	return failedRun("%s cannot be reached (%s)", p.URL, text)
}

// notAWebSocket says what a server is that did not answer the opening handshake with 101.
func notAWebSocket(url, what string) string {
	status, err := strconv.Atoi(what)
	switch {
	case what == "no-protocol":
		return url + ": the server accepts none of the sub-protocols that --protocol offers"
	case err != nil:
		return fmt.Sprintf("%s is no WebSocket server: its answer to the opening handshake is wrong (%s)", url, what)
	}
	text := fmt.Sprintf("%s: the server answers the opening handshake with %d %s instead of 101: ", url, status, http.StatusText(status))
	switch {
	case status >= 300 && status < 400:
		return text + "it sends clients elsewhere, and nobody follows: give the URL that it leads to"
	case status == http.StatusUnauthorized:
		return text + "it wants to know who we are: --header 'Authorization: ...'"
	case status == http.StatusForbidden:
		return text + "it refuses us: does it want an --origin, or a --header with a token?"
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return text + "it has enough to do, or it limits how many may come from one address"
	}
	return text + "there is no WebSocket at this path"
}

// flagNames are the options for fields of a plan that have another name.
var flagNames = map[string]string{
	"url": "URL", "payload": "--size, --message, --payload and --template", "payload.text": "--message", "payload.file": "--payload", "tls": "TLS",
	"phases": "--phase", "headers": "--header", "protocols": "--protocol", "sources": "--source",
}

var upper = regexp.MustCompile("[A-Z]")

// flagOf is the option that says a field of a plan: connectRate is --connect-rate, payload.size is --size.
func flagOf(field string) string {
	if name := flagNames[field]; name != "" {
		return name
	}
	field = field[strings.LastIndexByte(field, '.')+1:]
	return "--" + upper.ReplaceAllStringFunc(field, func(c string) string { return "-" + strings.ToLower(c) })
}

// inFlags says what is wrong with a plan in the words of the command line.
func inFlags(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, inFlags(e))
		}
		return errors.Join(all...)
	}
	if e, ok := err.(*load.PlanError); ok {
		return fmt.Errorf("%s: %w", flagOf(e.Field), e.Err)
	}
	return err
}
