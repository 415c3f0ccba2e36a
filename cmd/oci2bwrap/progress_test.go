package main

import (
	"strings"
	"testing"
	"time"

	"github.com/oci2bwrap/oci2bwrap/layout"
)

// TestProgress tells of an archive that is read and of its layers, which wait
// meanwhile, one second and more after the start.
func TestProgress(t *testing.T) {
	var out strings.Builder
	start := time.Now().Add(-time.Minute)
	unknown := func() int { return 0 }
	p := &progress{w: &out, width: unknown, start: start, since: start, last: start}
	for _, test := range []struct {
		now  layout.Progress
		want string
	}{
		{layout.Progress{}, ""},
		{layout.Progress{Done: 6 << 20}, "reading the archive, 6.0 MiB, 102"},
		{layout.Progress{Done: 6 << 20, Total: 12 << 20}, "reading the archive, 6.0 MiB of 12.0 MiB, 102"},
		{layout.Progress{Step: layout.Unpacking, Total: 8 << 20, Part: 1, Parts: 2}, ""},
		{layout.Progress{Step: layout.Unpacking, Done: 2 << 20, Total: 8 << 20, Part: 1, Parts: 2}, "unpacking layer 1 of 2, 2.0 MiB of 8.0 MiB, "},
		{layout.Progress{Step: layout.Hashing, Done: 1 << 20, Part: 1, Parts: 1}, "hashing layer 1 of 1, 1.0 MiB, "},
		{layout.Progress{Step: layout.Writing, Done: 1 << 20, Total: 2 << 20, Part: 3, Parts: 3}, "writing layer 3 of 3, 1.0 MiB of 2.0 MiB, "},
		{layout.Progress{Step: layout.Checking, Done: 1 << 20, Total: 9 << 20, Part: 4, Parts: 5}, "checking root 4 of 5, 1.0 MiB of 9.0 MiB, "},
		{layout.Progress{Step: layout.Pruning, Part: 1, Parts: 2}, "removing root 1 of 2"},
		{layout.Progress{Step: layout.Pruning, Done: 1 << 20, Part: 2, Parts: 2}, "removing root 2 of 2, 1.0 MiB, "},
	} {
		out.Reset()
		p.tell(test.now)
		got := strings.TrimPrefix(out.String(), "\r\x1b[K")
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%+v: got %q, want %q", test.now, got, test.want)
		}
	}
	out.Reset()
	p = &progress{w: &out, width: unknown, start: time.Now(), since: time.Now(), last: time.Now()}
	p.tell(layout.Progress{Done: 1})
	if p.done(); out.Len() > 0 {
		t.Errorf("in the first second: %q", out.String())
	}
}

// TestProgressWidth leaves out what a terminal has no room for on one line.
func TestProgressWidth(t *testing.T) {
	parts := []string{"writing layer 1 of 2", "1.0 MiB of 2.0 MiB", "3.0 MiB/s"}
	for width, want := range map[int]string{
		0:  "writing layer 1 of 2, 1.0 MiB of 2.0 MiB, 3.0 MiB/s",
		52: "writing layer 1 of 2, 1.0 MiB of 2.0 MiB, 3.0 MiB/s",
		51: "writing layer 1 of 2, 1.0 MiB of 2.0 MiB",
		40: "writing layer 1 of 2",
		10: "writing l",
		1:  "",
	} {
		if got := fitting(parts, width); got != want {
			t.Errorf("%d columns: got %q, want %q", width, got, want)
		}
	}
}
