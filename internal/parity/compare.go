package parity

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/internal/probe"
)

// Class says what is known of a difference.
type Class string

const (
	Explained   Class = "explained"   // a Row gives the reason
	OfHost      Class = "host"        // the two hosts differ in it
	Ignored     Class = "ignored"     // the caller has said that it may differ
	Unexplained Class = "unexplained" // nobody knows
)

// Difference is one thing that the two sides see differently. A side that has
// no such thing has the value Absent.
type Difference struct {
	Group  string `json:"group"`
	Name   string `json:"name"`
	Path   string `json:"path,omitempty"` // of a file of the tree, as probe.Escape writes it
	Ours   string `json:"sandbox"`
	Theirs string `json:"reference"`
	Class  Class  `json:"class"`
	Row    string `json:"row,omitempty"` // of Rows, by its Name
	Reason string `json:"reason,omitempty"`

	at, aspect string // of a mount or file: where, and what of it
}

// Absent stands for what one side does not have.
const Absent = "(absent)"

// Result is a comparison.
type Result struct {
	Ours, Theirs Side
	Facts, Files int // that were compared
	Differences  []Difference
	Counts       map[Class]int // of all differences, also of those beyond the limit
	Rows         map[string]int
	Groups       []string // of facts that were compared, "tree" last

	Mounts [2][]Mount // of each side, for drawing
}

// Same says that nothing is unexplained.
func (r *Result) Same() bool { return r.Counts[Unexplained] == 0 }

// Options of Compare.
type Options struct {
	Ignore []string         // patterns (path.Match) of files that may differ, and of directories with all in them
	Lines  []*regexp.Regexp // lines of the command's output that may be on one side alone
	Set    []string         // limits and facts of the process that the Spec sets, by their names: no two hosts differ in them
	Limit  int              // differences kept of each class; 0 is 1000
}

// Compare reads both reports to their ends. Neither is ever held whole.
func Compare(ours, theirs *Report, o Options) (*Result, error) {
	if o.Limit == 0 {
		o.Limit = 1000
	}
	c := &comparison{
		Options: o, ours: ours, theirs: theirs,
		res: &Result{Ours: ours.Side, Theirs: theirs.Side, Counts: map[Class]int{}, Rows: map[string]int{}},
	}
	settle(ours)
	settle(theirs)
	c.lines()
	c.res.Mounts = [2][]Mount{mountsOf(ours.Facts), mountsOf(theirs.Facts)}
	c.facts()
	if err := c.files(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(c.res.Differences, func(a, b Difference) int {
		return strings.Compare(a.Group, b.Group)
	})
	return c.res, nil
}

type comparison struct {
	Options
	ours, theirs *Report
	res          *Result
}

// settle puts facts that only mean something beside the host's into words that
// do on any: a namespace is the host's, or its own.
func settle(r *Report) {
	for name, id := range r.Facts["namespaces"] {
		switch {
		case strings.HasPrefix(id, "E"):
		case id == r.Host.Namespaces[name]:
			r.Facts["namespaces"][name] = "the caller's"
		default:
			r.Facts["namespaces"][name] = "its own"
		}
	}
}

func (c *comparison) facts() {
	groups := maps.Clone(c.ours.Facts)
	maps.Copy(groups, c.theirs.Facts)
	c.res.Groups = append(slices.Sorted(maps.Keys(groups)), "tree")
	for _, group := range c.res.Groups[:len(groups)] {
		if group == mountGroup {
			c.mounts()
			continue
		}
		a, b := c.ours.Facts[group], c.theirs.Facts[group]
		names := maps.Clone(a)
		if names == nil {
			names = map[string]string{}
		}
		maps.Copy(names, b)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			c.res.Facts++
			c.differ(group, name, valueOf(a, name), valueOf(b, name))
		}
	}
}

func valueOf(m map[string]string, name string) string {
	if v, ok := m[name]; ok {
		return v
	}
	return Absent
}

// differ notes a difference of a fact, if it is one.
func (c *comparison) differ(group, name, ours, theirs string) {
	c.note(Difference{Group: group, Name: name, Ours: ours, Theirs: theirs})
}

// file notes a difference of a file: of all of it where aspect is empty.
func (c *comparison) file(path, aspect, ours, theirs string) {
	name := path
	if aspect != "" {
		name += " " + aspect
	}
	c.note(Difference{Group: "tree", Name: name, Path: path, Ours: ours, Theirs: theirs, at: path, aspect: aspect})
}

func (c *comparison) note(d Difference) {
	if d.Ours == d.Theirs {
		return
	}
	c.classify(&d)
	c.res.Counts[d.Class]++
	if d.Row != "" {
		c.res.Rows[d.Row]++
	}
	if c.res.Counts[d.Class] <= c.Limit {
		c.res.Differences = append(c.res.Differences, d)
	}
}

// files merges the two sorted lists of files. Most lines are equal, and need
// not be taken apart.
func (c *comparison) files() error {
	forward := []*Report{c.ours, c.theirs}
	for {
		for _, r := range forward {
			if err := r.advance(); err != nil {
				return err
			}
		}
		forward = []*Report{c.ours, c.theirs}
		if c.ours.line == nil && c.theirs.line == nil {
			return nil
		}
		c.res.Files++
		if bytes.Equal(c.ours.line, c.theirs.line) {
			continue
		}
		a, err := c.ours.entry()
		if err != nil {
			return err
		}
		b, err := c.theirs.entry()
		if err != nil {
			return err
		}
		switch {
		case b == nil || a != nil && probe.Less(a.Path, b.Path):
			c.file(a.Path, "", summary(a), Absent)
			forward = forward[:1]
		case a == nil || probe.Less(b.Path, a.Path):
			c.file(b.Path, "", Absent, summary(b))
			forward = forward[1:]
		default:
			c.entries(a, b)
		}
	}
}

// entries compares what both sides have at one path.
func (c *comparison) entries(a, b *probe.Entry) {
	if a.Type == "m" || b.Type == "m" || a.Type != b.Type {
		if a.Type != b.Type {
			c.file(a.Path, "", summary(a), summary(b))
		}
		return
	}
	c.file(a.Path, "mode", a.Mode, b.Mode)
	c.file(a.Path, "owner", a.Owner, b.Owner)
	c.file(a.Path, "target", a.Target, b.Target)
	c.file(a.Path, "listing", a.Fault, b.Fault)
	if a.Size != b.Size || a.Hash != b.Hash {
		c.file(a.Path, "content", content(a), content(b))
	}
	for name := range names(a.Xattrs, b.Xattrs) {
		c.file(a.Path, name, valueOf(a.Xattrs, name), valueOf(b.Xattrs, name))
	}
}

func names(maps ...map[string]string) map[string]bool {
	all := map[string]bool{}
	for _, m := range maps {
		for name := range m {
			all[name] = true
		}
	}
	return all
}

func summary(e *probe.Entry) string {
	words := []string{map[string]string{"f": "file", "d": "directory", "l": "link", "c": "character device", "b": "block device",
		"p": "pipe", "s": "socket", "m": "mount"}[e.Type], e.Mode, e.Owner, e.Target, e.Fault}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

func content(e *probe.Entry) string {
	hash := e.Hash
	if len(hash) == 64 {
		hash = "sha256 " + hash[:12] + "…"
	}
	return strings.TrimSpace(hash + ", " + plural(e.Size, "byte"))
}
