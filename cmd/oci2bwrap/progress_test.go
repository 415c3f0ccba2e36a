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
	p := &progress{w: &out, start: start, since: start, last: start}
	for _, test := range []struct {
		now  layout.Progress
		want string
	}{
		{layout.Progress{}, ""},
		{layout.Progress{Done: 6 << 20}, "reading the archive, 6.0 MiB, 102"},
		{layout.Progress{Done: 6 << 20, Total: 12 << 20}, "reading the archive, 6.0 MiB of 12.0 MiB, 102"},
		{layout.Progress{Total: 8 << 20, Layer: 1, Layers: 2}, ""},
		{layout.Progress{Done: 2 << 20, Total: 8 << 20, Layer: 1, Layers: 2}, "unpacking layer 1 of 2, 2.0 MiB of 8.0 MiB, "},
	} {
		out.Reset()
		p.tell(test.now)
		got := strings.TrimPrefix(out.String(), "\r\x1b[K")
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%+v: got %q, want %q", test.now, got, test.want)
		}
	}
	out.Reset()
	p = &progress{w: &out, start: time.Now(), since: time.Now(), last: time.Now()}
	p.tell(layout.Progress{Done: 1})
	if p.done(); out.Len() > 0 {
		t.Errorf("in the first second: %q", out.String())
	}
}
