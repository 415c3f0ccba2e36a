package layout

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// armVariants are the 32-bit ARM variants, most able first; each runs those
// after it.
var armVariants = []string{"v8", "v7", "v6", "v5"}

// wantedPlatform parses os/arch[/variant]; "" is the host.
func wantedPlatform(s string) (v1.Platform, error) {
	if s == "" {
		return normalise(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}), nil
	}
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fmt.Errorf("platform %q: want os/arch[/variant], such as linux/arm64", s)
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	p = normalise(p)
	if p.OS != "linux" {
		return v1.Platform{}, fmt.Errorf("platform %q: only linux images can be run", s)
	}
	return p, nil
}

// normalise brings the spellings of one platform to one form, with the
// default variant filled in.
func normalise(p v1.Platform) v1.Platform {
	p.OS = strings.ToLower(p.OS)
	p.Architecture = strings.ToLower(p.Architecture)
	p.Variant = strings.ToLower(p.Variant)
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386", "i486", "i586", "i686":
		p.Architecture = "386"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	if p.Variant != "" && p.Variant[0] >= '0' && p.Variant[0] <= '9' {
		p.Variant = "v" + p.Variant
	}
	if p.Variant == "" {
		switch p.Architecture {
		case "amd64":
			p.Variant = "v1"
		case "arm":
			p.Variant = "v7"
		case "arm64":
			p.Variant = "v8"
		}
	}
	return p
}

// match says how well an image for have serves want, both normalised: 0 is
// exact, larger is worse, -1 is not at all. A machine of one variant runs
// images of the lower ones.
func match(want, have v1.Platform) int {
	if want.OS != have.OS || want.Architecture != have.Architecture {
		return -1
	}
	if want.Variant == have.Variant {
		return 0
	}
	switch want.Architecture {
	case "arm":
		w, h := slices.Index(armVariants, want.Variant), slices.Index(armVariants, have.Variant)
		if w >= 0 && h > w {
			return h - w
		}
	case "amd64", "arm64":
		// One-digit or dotted versions: v1 to v4, v8, v8.1, v9.
		w, h := variantNumber(want.Variant), variantNumber(have.Variant)
		if h > 0 && h < w {
			return w - h
		}
	}
	return -1
}

// variantNumber maps "v8.2" to 802, and what is no version to 0.
func variantNumber(s string) int {
	var major, minor int
	if n, _ := fmt.Sscanf(s, "v%d.%d", &major, &minor); n == 0 || major < 0 || minor < 0 || major > 99 || minor > 99 {
		return 0
	}
	return major*100 + minor
}

// platformName renders a platform as os/arch[/variant], the default variants
// of amd64 and arm64 left out.
func platformName(p v1.Platform) string {
	s := p.OS + "/" + p.Architecture
	switch {
	case p.Variant == "", p.Architecture == "amd64" && p.Variant == "v1", p.Architecture == "arm64" && p.Variant == "v8":
		return s
	}
	return s + "/" + p.Variant
}
