package convert

import (
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// BenchmarkSeccomp measures what the default filter adds to a start: the
// profile, its rules for a command, the program.
func BenchmarkSeccomp(b *testing.B) {
	for b.Loop() {
		p, err := defaultSeccomp()
		if err != nil {
			b.Fatal(err)
		}
		s, err := p.resolve(defaultCapabilities(), "6.1.0")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := filter(s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpec is the conversion with it.
func BenchmarkSpec(b *testing.B) {
	for b.Loop() {
		if _, err := Spec(ispec.Image{}, Rootfs{}, Host{}, Options{Command: []string{"x"}}); err != nil {
			b.Fatal(err)
		}
	}
}
