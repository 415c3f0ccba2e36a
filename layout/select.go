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
	tag   string // or a manifest's digest; "" = any
	want  v1.Platform
	stdin bool   // where the images come from
	doc   string // the document that names the images
	found []*candidate
	seen  int64 // descriptors in indexes so far

	// Those of found that have a digest: there may be as many as a document has
	// room for.
	byDigest map[v1.Hash][]*candidate
}

// candidate is a manifest that may be the one.
type candidate struct {
	desc     v1.Descriptor
	label    string       // what it can be named by besides tags and names
	tags     []string     // to be matched as they are
	names    []string     // docker's, which have more than one spelling
	platform *v1.Platform // normalised; nil = not known yet
	why      string       // not "": what it is instead of an image
	img      *Image       // nil = not loaded yet

	// read reads manifest and config. If they turn out to be no image that
	// can be used, why says what they are.
	read func() (img *Image, why string, err error)
}

// add notes a manifest once, with all that it is named by.
func (s *selection) add(c candidate) {
	if p := c.desc.Platform; p != nil && p.OS != "" && p.Architecture != "" {
		p := normalise(*p)
		c.platform = &p
	}
	same := s.byDigest[c.desc.Digest]
	for _, have := range same {
		if samePlatform(have.platform, c.platform) {
			for _, t := range c.tags {
				have.tags = with(have.tags, t)
			}
			for _, n := range c.names {
				have.names = with(have.names, n)
			}
			return
		}
	}
	s.found = append(s.found, &c)
	if c.desc.Digest.Hex == "" {
		return
	}
	if s.byDigest == nil {
		s.byDigest = map[v1.Hash][]*candidate{}
	}
	s.byDigest[c.desc.Digest] = append(same, &c)
}

func samePlatform(a, b *v1.Platform) bool {
	if a == nil || b == nil {
		return a == b
	}
	return platformName(*a) == platformName(*b)
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
		return nil, &choiceError{fmt.Errorf("no image for platform %s (has: %s)", platformName(s.want), strings.Join(shorten(s.platforms()), ", "))}
	case distinct(best) > 1:
		return nil, &choiceError{s.ambiguous(best)}
	}
	c := best[0]
	if err := s.load(c); err != nil {
		return nil, err
	}
	if c.why != "" {
		return nil, s.noImage()
	}
	c.img.Platform = *c.platform
	if all := c.called(); len(all) > 0 {
		c.img.Tag = all[0]
	}
	if s.tag != "" && !isDigest(s.tag) {
		c.img.Tag = s.tag
	}
	return c.img, nil
}

// choiceError says that there are images, but not one that is meant.
type choiceError struct{ error }

func (e *choiceError) Unwrap() error { return e.error }

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
	img, why, err := c.read()
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
	return filter(s.found, func(c *candidate) bool { return c.why == "" })
}

// best returns the usable candidates that match the platform best.
func (s *selection) best() []*candidate {
	var best []*candidate
	rank := -1
	for _, c := range s.usable() {
		if c.platform == nil {
			continue
		}
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

// distinct counts the images among cands. A docker archive has no manifests:
// there an image is its config.
func distinct(cands []*candidate) int {
	digests := map[v1.Hash]bool{}
	for _, c := range cands {
		if c.desc.Digest.Hex == "" && c.img != nil {
			digests[c.img.ConfigDigest] = true
		} else {
			digests[c.desc.Digest] = true
		}
	}
	return len(digests)
}

// noImage says what was found where no image was.
func (s *selection) noImage() error {
	if len(s.found) == 0 {
		return fmt.Errorf("%s names no image", s.doc)
	}
	var what []string
	for _, c := range s.found {
		name := c.name()
		if all := c.called(); len(all) > 0 {
			name = quote(all[0])
		}
		what = append(what, name+" is "+c.why)
	}
	return errors.New("no image: " + strings.Join(few(what), "; "))
}

// noTag reports that none of the images is called s.tag.
func (s *selection) noTag(has []string) error {
	slices.Sort(has)
	has = slices.Compact(has)
	if len(has) > 0 {
		return fmt.Errorf("no tag %s in %s (has: %s)", quote(s.tag), s.doc, strings.Join(shorten(has), ", "))
	}
	return &hinted{
		fmt.Errorf("no tag %s in %s, which has no tags", quote(s.tag), s.doc),
		"without a tag, the only image is meant",
	}
}

// ambiguous lists the choices between images that match alike, each by what
// names no other.
func (s *selection) ambiguous(best []*candidate) error {
	shared := map[string]int{s.tag: 2} // how many it names
	for _, c := range best {
		for _, name := range c.called() {
			shared[name]++
		}
	}
	by := "TAG"
	var choices []string
	for _, c := range best {
		own := slices.DeleteFunc(c.called(), func(name string) bool { return shared[name] > 1 })
		if len(own) == 0 {
			own = []string{c.name()}
		}
		if own[0] == c.desc.Digest.String() {
			by = "DIGEST"
		}
		choices = append(choices, own...)
	}
	slices.Sort(choices)
	choices = slices.Compact(choices)
	as := "name one as IMAGE:"
	if s.stdin {
		as = "name one behind a --, as in -- -:"
	}
	return &hinted{fmt.Errorf("several images for platform %s (has: %s)", platformName(s.want), strings.Join(shorten(choices), ", ")), as + by}
}

// called lists what c is called by those who made it.
func (c *candidate) called() []string { return slices.Concat(c.tags, c.names) }

// name is what c can be told by when it isn't called anything.
func (c *candidate) name() string {
	if c.label != "" {
		return c.label
	}
	return c.desc.Digest.String()
}

// tags lists the tags and names of all candidates.
func (s *selection) tags() []string {
	var tags []string
	for _, c := range s.found {
		tags = append(tags, c.called()...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// platforms lists the platforms of all images found.
func (s *selection) platforms() []string {
	var names []string
	for _, c := range s.usable() {
		if c.platform != nil {
			names = append(names, platformName(*c.platform))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
