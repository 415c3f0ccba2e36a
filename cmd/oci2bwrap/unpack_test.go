package main

import (
	"strings"
	"testing"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

func TestPrintSkipped(t *testing.T) {
	xattr := layout.Skipped{Path: "a\nb", What: `extended attribute "user.big"`, Why: "no space left on device"}
	for want, skipped := range map[string][]layout.Skipped{
		"": nil,
		`oci2bwrap: note: left out: extended attribute "user.big" of "a\nb": no space left on device` + "\n":             xattrs(xattr, 1),
		`oci2bwrap: note: left out: extended attribute "user.big" of "a\nb": no space left on device; and 2 more` + "\n": xattrs(xattr, 3),
	} {
		var out strings.Builder
		if printSkipped(&out, skipped); out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}

func xattrs(s layout.Skipped, n int) (list []layout.Skipped) {
	for range n {
		list = append(list, s)
	}
	return list
}
