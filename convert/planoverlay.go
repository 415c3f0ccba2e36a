package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// Overlaid are the host directories of a mount of type overlay: what it shows,
// and where its writes go, in memory where both are empty.
type Overlaid struct{ Lower, Upper, Work string }

// Dirs lists those that are named.
func (o Overlaid) Dirs() []string {
	if o.Upper == "" {
		return []string{o.Lower}
	}
	return []string{o.Lower, o.Upper, o.Work}
}

// options are those of the mount, as overlayfs reads them.
func (o Overlaid) options() []string {
	escape := strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace
	var options []string
	for _, dir := range [][2]string{{"lowerdir=", o.Lower}, {"upperdir=", o.Upper}, {"workdir=", o.Work}} {
		if dir[1] != "" {
			options = append(options, dir[0]+escape(dir[1]))
		}
	}
	return options
}

// ParseOverlaid reads the directories from the mount's options. Without an
// upperdir a runtime would want several lower ones, and mount them read-only:
// here one is enough, and writes to it vanish.
func ParseOverlaid(m specs.Mount) (Overlaid, error) {
	var o Overlaid
	for _, option := range m.Options {
		key, value, _ := strings.Cut(option, "=")
		to := map[string]*string{"lowerdir": &o.Lower, "upperdir": &o.Upper, "workdir": &o.Work}[key]
		if to == nil {
			continue
		}
		var dir strings.Builder
		for escaped, i := false, 0; i < len(value); i++ {
			switch c := value[i]; {
			case !escaped && c == '\\':
				escaped = true
				continue
			case !escaped && c == ':' && key == "lowerdir":
				return o, fmt.Errorf("%s: several directories can't be merged", key)
			default:
				dir.WriteByte(c)
			}
			escaped = false
		}
		if *to = dir.String(); !path.IsAbs(*to) {
			return o, fmt.Errorf("%s: %q is not absolute", key, *to)
		}
		*to = path.Clean(*to)
	}
	switch {
	case o.Lower == "":
		return o, errors.New("an overlay needs a lowerdir")
	case (o.Upper == "") != (o.Work == ""):
		return o, errors.New("upperdir and workdir go together")
	}
	return o, nil
}

// overlayMount plans an overlay on a host directory, as -v SRC:DST:O asks for
// one.
func (p *planner) overlayMount(m specs.Mount, at inroot.Path, why string) error {
	o, err := ParseOverlaid(m)
	if err != nil {
		return fmt.Errorf("%q: %w", m.Destination, err)
	}
	for _, dir := range o.Dirs() {
		if mode, ok := p.host.Paths[dir]; p.host.Denied[dir] != "" {
			return fmt.Errorf("%q: %w", m.Destination, p.lacking("", dir))
		} else if !ok {
			return &hinted{fmt.Errorf("%q: %q does not exist", m.Destination, dir), "make it before: nothing is made on the host"}
		} else if !mode.IsDir() {
			return &hinted{fmt.Errorf("%q: %q is no directory, and overlays are of those", m.Destination, dir), "show it with ro, or a copy of it"}
		}
	}
	if !p.Features.StageOverlay {
		return &hinted{fmt.Errorf("%q: an overlay on %q needs overlayfs, which can't be had: %s", m.Destination, o.Lower, p.Features.Reason), "show it with ro, or a copy of it"}
	}
	if err := p.directory(at, why); err != nil {
		return err
	}
	fsys, err := p.host.Dir(o.Lower)
	if err != nil {
		return err
	}
	if o.Upper != "" && p.host.Over != nil {
		fsys = p.host.Over(o.Upper, fsys)
	}
	w := parseWords(m.Options)
	r := region{at: at.Name, fsys: fsys, dir: ".", kind: regionOverlay, host: true}
	r.step = p.add(bwrap.Overlay{
		Lower: []string{o.Lower}, Dst: at.Name, Mode: p.host.Paths[o.Lower] &^ fs.ModeType, Attr: w.attr &^ (bwrap.Single | bwrap.Slave), Upper: o.Upper, Work: o.Work,
	}, why)
	if w.readOnly {
		p.readOnly = append(p.readOnly, r.step)
	}
	p.view.mount(r)
	return nil
}
