package parity

// Document is the JSON form of a result. What is in it stays; version rises
// when a field changes its meaning or goes away.
type Document struct {
	Version     int            `json:"version"`
	Same        bool           `json:"same"` // nothing is unexplained
	Sandbox     Side           `json:"sandbox"`
	Reference   Side           `json:"reference"`
	Facts       int            `json:"facts"`
	Files       int            `json:"files"`
	Counts      map[Class]int  `json:"counts"`
	Rows        map[string]int `json:"rows"`
	Differences []Difference   `json:"differences"` // at most so many of each class, see Options
}

// Document gives the result for programs.
func (r *Result) Document() Document {
	d := Document{
		Version: 1, Same: r.Same(), Sandbox: r.Ours, Reference: r.Theirs, Facts: r.Facts, Files: r.Files,
		Counts: map[Class]int{Explained: 0, OfHost: 0, Ignored: 0, Unexplained: 0}, Rows: r.Rows, Differences: r.Differences,
	}
	for c, n := range r.Counts {
		d.Counts[c] = n
	}
	if d.Differences == nil {
		d.Differences = []Difference{}
	}
	return d
}
