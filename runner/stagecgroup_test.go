package runner

import (
	"slices"
	"testing"
)

func TestVersionOne(t *testing.T) {
	for own, want := range map[string][]string{
		"0::/\n": nil,
		"9:name=systemd:/\n2:cpu,cpuacct:/a:b\n0::/\n": {"cpu,cpuacct", "name=systemd"},
		"": nil,
	} {
		if got := versionOne(own); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", own, got, want)
		}
	}
}
