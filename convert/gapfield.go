package convert

import (
	"fmt"
	"regexp"
	"strings"
)

// GapFields are the names of gaps that are to be lived with, as a caller gives
// them: of one element, "mounts[/data].options", or of all, "mounts[].options".
type GapFields []string

// Check finds names that no gap can have.
func (f GapFields) Check() error {
	var known []string
	for i := range specFields {
		if row := &specFields[i]; row.Class != Irrelevant {
			known = append(known, row.Path)
		}
	}
	for _, name := range f {
		if !gapName(general(name), known) {
			return misspelt(fmt.Errorf("%q is no field that a gap can be in", name), general(name), known, "oci2bwrap plan lists the gaps of an image by their fields")
		}
	}
	return nil
}

// gapName says whether a gap can have the name: that of a row, of a list whose
// elements have rows or of such an element, or of what is below a row.
func gapName(name string, known []string) bool {
	for _, path := range known {
		if strings.HasSuffix(name, "[]") && strings.HasPrefix(path, name+".") {
			return true
		}
		if path == name || strings.HasPrefix(path, name+"[]") || strings.HasPrefix(name, path+".") || strings.HasPrefix(name, path+"[]") {
			return true
		}
	}
	return false
}

// Has says whether the gap is one of them.
func (f GapFields) Has(g Gap) bool {
	for _, name := range f {
		if name == g.Field || name == general(name) && name == general(g.Field) {
			return true
		}
	}
	return false
}

// general takes the elements' names and numbers out of a gap's.
func general(name string) string {
	if rest, ok := strings.CutPrefix(name, "mounts["); ok { // a path may have brackets
		return "mounts[" + rest[max(0, strings.LastIndexByte(rest, ']')):]
	}
	return regexp.MustCompile(`\[.*?\](\.|\[|$)`).ReplaceAllString(name, "[]$1")
}
