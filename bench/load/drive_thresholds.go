package load

// thresholds reads each text, which may name several with commas between them.
func thresholds(texts ...string) ([]Threshold, error) {
	var all []Threshold
	for _, text := range texts {
		some, err := ParseThresholds(text)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// aborted says whether a threshold has failed that is to end the run, and keeps which. Figures of the first two seconds are too few.
func (r *run) aborted() bool {
	if !r.plan.AbortOnFail || r.holds != nil || r.seconds() < 2 {
		return false
	}
	for _, v := range r.result().Thresholds {
		if !v.Holds {
			r.ended = "aborted: " + v.Threshold
			return true
		}
	}
	return false
}
