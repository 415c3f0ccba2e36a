package layout

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// selection is the search for the one image that is meant.
type selection struct {
	dir   *blobDir
	tag   string // "" = any
	want  v1.Platform
	found []*candidate
}

// candidate is a manifest that may be the one.
type candidate struct {
	desc     v1.Descriptor
	tags     []string
	platform *v1.Platform // normalised; nil = not known yet
	why      string       // not "": what it is instead of an image
	img      *Image       // nil = not loaded yet
}

// choose loads the image that fits. Of several the one that matches the
// platform best; two different ones that match alike are refused.
func (s *selection) choose() (*Image, error) {
	if err := s.settle(s.usable(), false); err != nil {
		return nil, err
	}
	best := s.best()
	if distinct(best) > 1 {
		// Only loading tells an artifact that its descriptor doesn't show.
		if err := s.settle(best, true); err != nil {
			return nil, err
		}
		best = s.best()
	}
	switch {
	case len(s.usable()) == 0:
		return nil, s.noImage()
	case len(best) == 0:
		return nil, fmt.Errorf("no image for platform %s (has: %s)", platformName(s.want), strings.Join(s.platforms(), ", "))
	case distinct(best) > 1:
		return nil, s.ambiguous(best)
	}
	c := best[0]
	if err := s.load(c); err != nil {
		return nil, err
	}
	if c.why != "" {
		return nil, s.noImage()
	}
	c.img.Platform = *c.platform
	if len(c.tags) > 0 {
		c.img.Tag = c.tags[0]
	}
	if s.tag != "" {
		c.img.Tag = s.tag
	}
	return c.img, nil
}

// settle loads those of cands whose platform isn't known, or all.
func (s *selection) settle(cands []*candidate, all bool) error {
	for _, c := range cands {
		if all || c.platform == nil {
			if err := s.load(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// load reads manifest and config of c, or finds out that it is no image.
func (s *selection) load(c *candidate) error {
	if c.img != nil || c.why != "" {
		return nil
	}
	img, why, err := loadManifest(s.dir, c.desc)
	if err != nil {
		return err
	}
	if c.why = why; why != "" {
		return nil
	}
	c.img = img
	if c.platform == nil {
		p := s.want // a config that names no platform doesn't contradict
		if img.Config.OS != "" && img.Config.Architecture != "" {
			p = normalise(v1.Platform{OS: img.Config.OS, Architecture: img.Config.Architecture, Variant: img.Config.Variant})
		}
		c.platform = &p
	}
	return nil
}

func (s *selection) usable() []*candidate {
	return slices.DeleteFunc(slices.Clone(s.found), func(c *candidate) bool { return c.why != "" })
}

// best returns the usable candidates that match the platform best.
func (s *selection) best() []*candidate {
	var best []*candidate
	rank := -1
	for _, c := range s.usable() {
		m := match(s.want, *c.platform)
		switch {
		case m < 0 || rank >= 0 && m > rank:
		case rank < 0 || m < rank:
			rank, best = m, []*candidate{c}
		default:
			best = append(best, c)
		}
	}
	return best
}

func distinct(cands []*candidate) int {
	digests := map[v1.Hash]bool{}
	for _, c := range cands {
		digests[c.desc.Digest] = true
	}
	return len(digests)
}

// noImage says what was found where no image was.
func (s *selection) noImage() error {
	if len(s.found) == 0 {
		return errNoImages
	}
	var what []string
	for _, c := range s.found {
		name := c.desc.Digest.String()
		if len(c.tags) > 0 {
			name = quote(c.tags[0])
		}
		what = append(what, name+" is "+c.why)
	}
	return errors.New("no image: " + strings.Join(shorten(what), "; "))
}

// ambiguous lists the choices between images that match alike.
func (s *selection) ambiguous(best []*candidate) error {
	var choices []string
	untagged := false
	for _, c := range best {
		if len(c.tags) == 0 {
			untagged = true
			choices = append(choices, c.desc.Digest.String())
		}
		choices = append(choices, c.tags...)
	}
	slices.Sort(choices)
	choices = slices.Compact(choices)
	err := fmt.Errorf("several images for platform %s (has: %s)", platformName(s.want), strings.Join(shorten(choices), ", "))
	if s.tag != "" || untagged && len(s.tags()) == 0 {
		return err
	}
	return &hinted{err, "name one as DIR:TAG"}
}

// tags lists the tags of all candidates, escaped where need be.
func (s *selection) tags() []string {
	var tags []string
	for _, c := range s.found {
		tags = append(tags, c.tags...)
	}
	slices.Sort(tags)
	return shorten(slices.Compact(tags))
}

// platforms lists the platforms of all images found.
func (s *selection) platforms() []string {
	var names []string
	for _, c := range s.usable() {
		names = append(names, platformName(*c.platform))
	}
	slices.Sort(names)
	return shorten(slices.Compact(names))
}

// shorten escapes foreign names that would garble a message, and bounds how
// many there are.
func shorten(names []string) []string {
	const most = 20
	var out []string
	for i, n := range names {
		if i == most {
			return append(out, fmt.Sprintf("and %d more", len(names)-most))
		}
		if q := quote(n); q != `"`+n+`"` {
			n = q
		}
		out = append(out, n)
	}
	return out
}
