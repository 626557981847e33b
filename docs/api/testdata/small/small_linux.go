package small

const Here = true

func Only()                  {}
func Twin(x int) error       { return nil }
func (t *Thing) Everywhere() {}
