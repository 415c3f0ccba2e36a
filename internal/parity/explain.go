package parity

import (
	"path"
	"slices"
)

// Row explains a kind of difference: why it is there, and why it is right.
type Row struct {
	Name    string
	Field   string   // the row of docs/conformance.md that it belongs to
	Engines []string // it holds against these; nil is any
	User    bool     // it holds only for a caller who is not root
	Why     string

	match func(d Difference, c *comparison) bool
}

// classify finds out what is known of a difference.
func (c *comparison) classify(d *Difference) {
	if d.Path != "" && c.ignored(d.Path) {
		d.Class = Ignored
		return
	}
	if r := c.row(*d); r != nil {
		d.Class, d.Row, d.Reason = Explained, r.Name, r.Why
		return
	}
	if c.ours.Host.ID != c.theirs.Host.ID && c.hostly(*d) {
		d.Class, d.Reason = OfHost, "the reference was recorded on another host"
		return
	}
	d.Class = Unexplained
}

// row is the first that explains the difference, if any does.
func (c *comparison) row(d Difference) *Row {
	for _, table := range rows {
		for i := range table {
			r := &table[i]
			if r.Engines != nil && !slices.Contains(r.Engines, c.theirs.Engine) || r.User && c.ours.Host.Root {
				continue
			}
			if r.match(d, c) {
				return r
			}
		}
	}
	return nil
}

// ignored says whether a pattern of --ignore names the file or a directory
// that it is in.
func (c *comparison) ignored(file string) bool {
	for p := file; ; p = path.Dir(p) {
		for _, pattern := range c.Ignore {
			if ok, _ := path.Match(pattern, p); ok {
				return true
			}
		}
		if p == "/" || p == "." {
			return false
		}
	}
}

func (c *comparison) our(group, name string) string   { return valueOf(c.ours.Facts[group], name) }
func (c *comparison) their(group, name string) string { return valueOf(c.theirs.Facts[group], name) }
