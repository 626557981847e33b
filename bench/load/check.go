package load

import (
	"errors"
	"fmt"
	"time"
)

// ErrPlan is what every error about a plan is (errors.Is). A [PlanError] names the field.
var ErrPlan = errors.New("load: this plan cannot be run")

// PlanError says what is wrong with which field of a plan, and what to do.
type PlanError struct {
	Field string // as JSON and YAML name it: "connections", "payload.size", "tls.cert"
	Err   error
}

// Error is a sentence that begins with the field.
func (e *PlanError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap leads to what is wrong.
func (e *PlanError) Unwrap() error { return e.Err }

// Is tells that it is ErrPlan.
func (e *PlanError) Is(target error) bool { return target == ErrPlan }

// refuse is a PlanError.
func refuse(field, format string, args ...any) error {
	return &PlanError{field, fmt.Errorf(format, args...)}
}

// Complete fills in the defaults of what is not set. It changes nothing that is, and may be called again.
func (p *Plan) Complete() {
	orDefault(&p.Scenario, Echo)
	orDefault(&p.Connections, 1)
	orDefault(&p.ConnectRate, 1000)
	orDefault(&p.Seed, 1)
	orDefault(&p.ConnectTimeout, Duration(10*time.Second))
	orDefault(&p.AnswerTimeout, Duration(5*time.Second))
	if p.Scenario == Fanout {
		orDefault(&p.Writers, 1)
	}
	if p.Expect == "" {
		p.Expect = ExpectEcho
		if p.Scenario == Idle || p.Scenario == Storm {
			p.Expect = ExpectNone
		}
	}
	if y := &p.Payload; y.File == "" && y.Template == "" && y.Text == "" {
		orDefault(&y.Size, 128)
	}
	if len(p.Phases) == 0 {
		orDefault(&p.Duration, Duration(10*time.Second))
	}
	var phases Duration
	for _, f := range p.Phases {
		phases += f.Duration
	}
	orDefault(&p.Duration, phases)
}

func orDefault[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}
