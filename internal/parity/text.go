package parity

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteText writes the result for people: the unexplained differences first,
// with the values of both sides, then the others, by their reason. all lists
// these one by one.
func WriteText(w io.Writer, r *Result, all bool) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "sandbox    %s\n", r.Ours.Name)
	fmt.Fprintf(b, "reference  %s%s\n", r.Theirs.Name, adapted(r.Theirs))
	fmt.Fprintf(b, "compared   %d facts, %d files\n", r.Facts, r.Files)
	textUnexplained(b, r)
	for _, class := range []Class{OfHost, Explained, Ignored} {
		if r.Counts[class] == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s\n", class)
		if all {
			for _, d := range r.of(class) {
				textValues(b, d)
			}
		}
		textRows(b, r, class)
	}
	fmt.Fprintf(b, "\n%s\n", r.Verdict())
	return b.Flush()
}

func adapted(s Side) string {
	if s.Adapted == "" {
		return ""
	}
	return " (" + s.Adapted + ")"
}

// Verdict is the result in one line.
func (r *Result) Verdict() string {
	counts := fmt.Sprintf("%d explained, %d the host's, %d ignored", r.Counts[Explained], r.Counts[OfHost], r.Counts[Ignored])
	if r.Same() {
		return "same: no unexplained difference (" + counts + ")"
	}
	return fmt.Sprintf("different: %s unexplained (%s)", plural(int64(r.Counts[Unexplained]), "difference"), counts)
}

func (r *Result) of(class Class) []Difference {
	var all []Difference
	for _, d := range r.Differences {
		if d.Class == class {
			all = append(all, d)
		}
	}
	return all
}

func textUnexplained(b *bufio.Writer, r *Result) {
	group := ""
	listed := r.of(Unexplained)
	for _, d := range listed {
		if d.Group != group {
			group = d.Group
			fmt.Fprintf(b, "\nunexplained: %s\n", group)
		}
		textValues(b, d)
	}
	if more := r.Counts[Unexplained] - len(listed); more > 0 {
		fmt.Fprintf(b, "  … and %d more\n", more)
	}
}

func textValues(b *bufio.Writer, d Difference) {
	fmt.Fprintf(b, "  %s\n      sandbox    %s\n      reference  %s\n", d.Name, shown(d.Ours), shown(d.Theirs))
}

// shown keeps a value to a line of use.
func shown(value string) string {
	const limit = 400
	if value == "" {
		return "(empty)"
	}
	if len(value) > limit {
		return strings.ToValidUTF8(value[:limit], "") + "…"
	}
	return value
}

// textRows counts the differences of a class by their reason.
func textRows(b *bufio.Writer, r *Result, class Class) {
	if class != Explained {
		fmt.Fprintf(b, "  %s\n", plural(int64(r.Counts[class]), "difference"))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.Rows)) {
		fmt.Fprintf(b, "  %4d  %s: %s\n", r.Rows[name], name, reasonOf(name))
	}
}

func reasonOf(row string) string {
	for _, r := range Rows() {
		if r.Name == row {
			return r.Why
		}
	}
	return ""
}
