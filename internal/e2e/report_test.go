package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// sections splits what fixtures/debian/report.sh prints.
func sections(t *testing.T, output string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	name := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(output, "\n"), "\n") {
		if after, ok := strings.CutPrefix(line, "== "); ok {
			name = after
			found[name] = []string{}
			continue
		}
		if name == "" {
			t.Fatalf("a report begins with %q", line)
		}
		found[name] = append(found[name], line)
	}
	for _, name := range []string{"args", "stdin"} {
		if _, ok := found[name]; !ok {
			t.Fatalf("a report has no section %q: %q", name, output)
		}
	}
	return found
}

// sameSection compares one section of two reports, without the lines that drop
// says are to differ.
func sameSection(t *testing.T, name string, got, want map[string][]string, drop func(line string) bool) {
	t.Helper()
	g, w := slices.Clone(got[name]), slices.Clone(want[name])
	if drop != nil {
		g, w = slices.DeleteFunc(g, drop), slices.DeleteFunc(w, drop)
	}
	if diff := difference(g, w); diff != "" {
		t.Errorf("section %q:\n%s", name, diff)
	}
}

// difference lists the lines that only one of two lists has, in order, up to
// twenty; "" means that the lists are equal.
func difference(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	var diff []string
	for _, line := range want {
		if !slices.Contains(got, line) {
			diff = append(diff, "  want "+line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			diff = append(diff, "  got  "+line)
		}
	}
	if len(diff) == 0 {
		return fmt.Sprintf("  the same lines in another order: %q", got)
	}
	return strings.Join(diff[:min(len(diff), 20)], "\n")
}
