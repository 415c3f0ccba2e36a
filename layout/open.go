package layout

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// OpenOptions say which image of several is meant, what comes with it, and
// what opening it may cost.
type OpenOptions struct {
	Platform string    // os/arch[/variant]; "" = the host's
	Stdin    io.Reader // the archive that Path "-" means
	TempDir  string    // where compressed and piped archives are spooled, and their documents remembered; "" = /var/tmp, nothing

	// For transport "rootfs" only:
	Config string   // file of an image config, whole or only its config object; "" = an empty one
	Rootfs []string // further directories, lowest first, above the Ref's

	// Progress is told how far reading a compressed or piped archive has come,
	// from a goroutine of its own, also while the layers of it are unpacked.
	Progress func(Progress)

	Limits Limits
}

// Open reads and verifies the documents of the image that ref and o select.
// No layer is read. Errors name the image.
func Open(ref Ref, o OpenOptions) (*Image, error) {
	img, err := open(ref, o)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", quote(ref.String()), err)
	}
	return img, nil
}

func open(ref Ref, o OpenOptions) (*Image, error) {
	want, err := wantedPlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	p, err := locate(ref, o)
	if err != nil {
		return nil, err
	}
	img, err := p.choose(ref, want)
	if err != nil {
		return nil, also(err, p.close())
	}
	p.remember()
	img.Name = ref.String()
	return img, nil
}

// location is where images are, opened as one of the forms.
type location struct {
	form   string
	images images
	file   io.Closer // an archive; nil = none
}

// images are what a place holds.
type images interface {
	// find gathers in s the images that s.tag can mean, and what is found
	// among them without being an image.
	find(s *selection) error
}

// choose returns the one image that is meant. It takes over the place's file.
func (p *location) choose(ref Ref, want v1.Platform) (*Image, error) {
	s := &selection{tag: ref.Tag, want: want, stdin: ref.Path == stdinPath}
	if err := p.images.find(s); err != nil {
		return nil, err
	}
	img, err := s.choose()
	if err != nil {
		return nil, err
	}
	img.Form, img.file = p.form, p.file
	return img, nil
}

// remember notes what was needed of a compressed archive.
func (p *location) remember() {
	if r, ok := p.file.(*remembered); ok {
		r.save()
	}
}

func (p *location) close() error {
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// one is the only image of a place whose form has no tags.
type one struct {
	img *Image
	doc string
}

func (o one) find(s *selection) error {
	s.doc = o.doc
	if s.tag != "" {
		return s.noTag(nil)
	}
	s.add(candidate{label: o.doc, read: func() (*Image, string, error) { return o.img, o.img.unusable(), nil }})
	return nil
}

// locate opens the place that ref names.
func locate(ref Ref, o OpenOptions) (*location, error) {
	o.Limits = o.Limits.withDefaults()
	if ref.Transport != "rootfs" && (o.Config != "" || len(o.Rootfs) > 0) {
		return nil, &hinted{
			fmt.Errorf("a config and directories can't be added to this form of image"),
			"--config and --rootfs go with rootfs:DIR, or without an IMAGE",
		}
	}
	if ref.Path == stdinPath {
		return locateStdin(ref.Transport, o)
	}
	path, err := filepath.Abs(ref.Path)
	if err != nil {
		return nil, err
	}
	isDir, err := statPath(path)
	if err != nil {
		return nil, err
	}
	form := ref.Transport
	switch {
	case isDir && form == "":
		if form, err = recogniseDir(path, o.Limits); err != nil {
			return nil, err
		}
	case isDir == isFile(form) && form != "":
		return nil, wrongKind(form, isDir)
	case !isDir && form == "" && isNixJSON(path):
		form = "nix"
	}
	if !isDir && form != "nix" {
		return locateArchive(path, form, o)
	}
	p := &location{form: form}
	switch form {
	case "oci":
		p.images, err = openOCI(directory(path), o.Limits)
	case "dir":
		p.images, err = openDir(directory(path), o.Limits)
	case "layers":
		p.images, err = openLayers(path, o.Limits)
	case "nix":
		p.images, err = openNix(path, o.Limits)
	case "bundle":
		p.images, err = openBundle(path, o.Limits)
	case "rootfs":
		p.images, err = openRootfs(path, o)
	default:
		err = fmt.Errorf("transport %s is not known", quote(form))
	}
	if err != nil {
		return nil, wrongForm(err, form, func(name string) bool {
			_, err := os.Stat(filepath.Join(path, name))
			return !errors.Is(err, fs.ErrNotExist) // what the caller may not look at is not missing
		})
	}
	return p, nil
}
