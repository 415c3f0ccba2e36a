package layout

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	nixVersion  = 1
	nixStoreDir = "/nix/store"
)

// nixDocument is the image JSON that nix2container writes, keys in any case.
type nixDocument struct {
	Version int               `json:"version"`
	Config  ispec.ImageConfig `json:"image-config"`
	Layers  []nixLayer        `json:"layers"`
	Arch    string            `json:"arch"`
	Created *time.Time        `json:"created"`
}

// nixLayer is a layer made of store paths, or the archive at LayerPath.
type nixLayer struct {
	Digest    string        `json:"digest"`
	Size      int64         `json:"size"` // 0 where the tool did not look
	DiffID    string        `json:"diff_ids"`
	Paths     []nixPath     `json:"paths,omitempty"`
	MediaType string        `json:"mediatype"`
	LayerPath string        `json:"layer-path,omitempty"`
	History   ispec.History `json:"History"`
}

// nixPath is a store path and where in the image its files are to be.
type nixPath struct {
	Path    string      `json:"path"`
	Options *nixOptions `json:"options,omitempty"`
}

type nixOptions struct {
	Rewrite struct {
		Regex string `json:"regex"`
		Repl  string `json:"repl"`
	} `json:"rewrite"`
	Perms []nixPerm `json:"perms,omitempty"`

	rewrite *regexp.Regexp // nil = none
}

// nixPerm gives the files whose store path matches another mode and owner.
// Without a mode they keep theirs, without a name root's.
type nixPerm struct {
	Regex string `json:"regex"`
	Mode  string `json:"mode"` // octal
	UID   int    `json:"uid"`
	GID   int    `json:"gid"`
	Uname string `json:"uname"`
	Gname string `json:"gname"`

	regex *regexp.Regexp
	mode  int64
}

// plain says that the path's files lie in the image as in the store.
func (p *nixPath) plain() bool { return p.Options == nil }

// isNixJSON says whether a file begins like a JSON object, which no archive
// does. That it can't be read is for who opens it to say.
func isNixJSON(path string) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false // what a pipe gives can be read only once, and a named one opened
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	return bytes.HasPrefix(bytes.TrimLeft(head[:n], " \t\r\n"), []byte("{"))
}

// openNix opens nix2container's image JSON.
func openNix(file string, limits Limits) (images, error) {
	raw, err := readDocument(file, true, limits)
	if err != nil {
		return nil, err
	}
	doc, err := parseNix(raw)
	if err != nil {
		return nil, err
	}
	img, err := doc.image()
	if err != nil {
		return nil, err
	}
	return one{img, filepath.Base(file)}, nil
}

// parseNix parses and checks the document.
func parseNix(raw []byte) (*nixDocument, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return nil, fmt.Errorf("a JSON document, and not nix2container's: %w", foreign(err))
	}
	if keys["image-config"] == nil || keys["layers"] == nil {
		return nil, &hinted{
			errors.New("a JSON document, and not nix2container's: it has no image-config with layers"),
			"rootfs:DIR with --config FILE takes an image config and a directory",
		}
	}
	var doc nixDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, foreign(err)
	}
	if doc.Version != nixVersion {
		return nil, fmt.Errorf("version is %d, and only version %d of nix2container's image JSON is known", doc.Version, nixVersion)
	}
	for n := range doc.Layers {
		if err := doc.Layers[n].check(); err != nil {
			return nil, fmt.Errorf("layers[%d]%w", n, err)
		}
	}
	return &doc, nil
}

// check compiles what is to be compiled. Errors begin with the field.
func (l *nixLayer) check() error {
	switch {
	case l.LayerPath == "" && l.Paths == nil:
		return errors.New(": has neither paths nor a layer-path")
	case l.LayerPath != "" && (!path.IsAbs(l.LayerPath) || strings.ContainsRune(l.LayerPath, 0)):
		return fmt.Errorf(".layer-path: %s is not absolute", quote(l.LayerPath))
	case l.Size < 0:
		return fmt.Errorf(".size: %d is negative", l.Size)
	}
	for n := range l.Paths {
		if err := l.Paths[n].check(); err != nil {
			return fmt.Errorf(".paths[%d]%w", n, err)
		}
	}
	return nil
}

// check holds a path to the store: an image must not show, or copy, what else
// lies on this machine.
func (p *nixPath) check() (err error) {
	rest, ok := strings.CutPrefix(p.Path, nixStoreDir+"/")
	if !ok || !fs.ValidPath(rest) || rest == "." || strings.ContainsRune(rest, 0) {
		return fmt.Errorf(".path: %s is not a path in %s", quote(p.Path), nixStoreDir)
	}
	o := p.Options
	if o == nil {
		return nil
	}
	if o.Rewrite.Regex != "" {
		if o.rewrite, err = regexp.Compile(o.Rewrite.Regex); err != nil {
			return fmt.Errorf(".options.rewrite.regex: %w", foreign(err))
		}
	}
	for n := range o.Perms {
		if err := o.Perms[n].check(); err != nil {
			return fmt.Errorf(".options.perms[%d]%w", n, err)
		}
	}
	if o.rewrite == nil && len(o.Perms) == 0 {
		p.Options = nil
	}
	return nil
}

func (p *nixPerm) check() (err error) {
	if p.regex, err = regexp.Compile(p.Regex); err != nil {
		return fmt.Errorf(".regex: %w", foreign(err))
	}
	if p.Mode != "" {
		// As the tool reads it: what follows the digits does not count.
		if _, err := fmt.Sscanf(p.Mode, "%o", &p.mode); err != nil || p.mode < 0 {
			return fmt.Errorf(".mode: %s is not an octal number", quote(p.Mode))
		}
	}
	if p.UID < 0 || p.GID < 0 || max(int64(p.UID), int64(p.GID)) > 1<<31-1 {
		return fmt.Errorf(": owner %d:%d is out of range", p.UID, p.GID)
	}
	return nil
}

// image is the image that the document stands for. Its config is, byte for
// byte, the one that nix2container gives it when it is pushed.
func (d *nixDocument) image() (*Image, error) {
	config := ispec.Image{
		Created: d.Created, Platform: ispec.Platform{Architecture: d.Arch, OS: "linux"}, Config: d.Config,
	}
	img := &Image{nix: d.Layers}
	for n := range d.Layers {
		l, err := d.Layers[n].layer()
		if err != nil {
			return nil, fmt.Errorf("layers[%d]%w", n, err)
		}
		img.Layers = append(img.Layers, l)
		config.RootFS.Type = "layers"
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, specDigest(l.DiffID))
		config.History = append(config.History, d.Layers[n].History)
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	img.RawConfig, img.Config = raw, config
	img.ConfigDigest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	return img, nil
}

// layer is the layer as it is pushed. Errors begin with the field.
func (l *nixLayer) layer() (Layer, error) {
	out := Layer{MediaType: cmp.Or(l.MediaType, ispec.MediaTypeImageLayer), Size: l.Size}
	var err error
	if out.Digest, err = v1.NewHash(l.Digest); err != nil {
		return out, fmt.Errorf(".digest: %w", foreign(err))
	}
	if out.DiffID, err = v1.NewHash(l.DiffID); err != nil {
		return out, fmt.Errorf(".diff_ids: %w", foreign(err))
	}
	if l.LayerPath == "" {
		out.open = func() (io.ReadCloser, error) { return l.stream(out) }
		return out, nil
	}
	if info, err := os.Stat(l.LayerPath); err == nil && l.Size == 0 {
		out.Size = info.Size()
	}
	out.open = func() (io.ReadCloser, error) {
		dir, name := filepath.Split(l.LayerPath)
		b := &blobs{source: directory(dir), place: func(v1.Descriptor) string { return name }}
		r, err := b.blob(v1.Descriptor{Digest: out.Digest, Size: out.Size})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, missingPaths([]string{l.LayerPath})
		}
		return r, err
	}
	return out, nil
}

// missingPaths says which store paths aren't there, and how they come back.
func missingPaths(paths []string) error {
	var names []string
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(p, nixStoreDir+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			p = nixStoreDir + "/" + name
		}
		names = append(names, p)
	}
	more := ""
	if n := len(names) - 3; n > 0 {
		names, more = names[:3], fmt.Sprintf(" and %d more", n)
	}
	return &hinted{
		fmt.Errorf("store path %s%s: %w", quoteAll(names), more, errGone),
		"nix-store --realise " + strings.Join(names, " ") + " fetches or builds it, if it can still be had",
	}
}

var errGone = errors.New("is not in the store")

func quoteAll(names []string) string {
	var quoted []string
	for _, n := range names {
		quoted = append(quoted, quote(n))
	}
	return strings.Join(quoted, ", ")
}
