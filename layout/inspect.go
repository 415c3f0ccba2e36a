package layout

import (
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Inspection describes a place that holds images and the one that is meant.
// Its strings are foreign: as JSON they are escaped, for a terminal they must
// be. Lists are never null and their order is stable.
type Inspection struct {
	Name      string   `json:"name"`      // the argument
	Form      string   `json:"form"`      // a transport's name
	Tags      []string `json:"tags"`      // and docker's names: what REF can be, sorted
	Platforms []string `json:"platforms"` // of all images, sorted
	Found     []Found  `json:"found"`     // in the order of the image's own documents

	// Image is the one that a run with the same options would take. Without
	// one, Problem says why.
	Image   *Details `json:"image"`
	Problem string   `json:"problem,omitempty"`
}

// Found is an image, or something else that lies where images do.
type Found struct {
	Digest   string   `json:"digest,omitempty"` // of the manifest
	Tags     []string `json:"tags"`
	Platform string   `json:"platform,omitempty"`
	Not      string   `json:"not,omitempty"` // what it is instead of an image
}

// Details describe one image.
type Details struct {
	Digest       string            `json:"digest,omitempty"` // of the manifest
	MediaType    string            `json:"mediaType,omitempty"`
	Tag          string            `json:"tag,omitempty"`
	Platform     string            `json:"platform"`
	ConfigDigest string            `json:"configDigest,omitempty"`
	Config       json.RawMessage   `json:"config,omitempty"` // whole, as stored
	Annotations  map[string]string `json:"annotations,omitempty"`
	Layers       []LayerDetails    `json:"layers"` // lowest first
	Size         int64             `json:"size"`   // of all layers' blobs in bytes
	History      []HistoryDetails  `json:"history"`
	Dirs         []string          `json:"dirs,omitempty"`   // instead of layers
	Bundle       json.RawMessage   `json:"bundle,omitempty"` // config.json of a runtime bundle
}

// LayerDetails describe a layer.
type LayerDetails struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest,omitempty"` // "" where a docker archive doesn't say
	DiffID    string `json:"diffID"`
	Size      int64  `json:"size"` // of the blob in bytes
}

// HistoryDetails are an entry of the config's history, and the number of its
// layer, from 1; 0 if it has none.
type HistoryDetails struct {
	ispec.History
	Layer int `json:"layer,omitempty"`
}

// Inspect describes what ref names. It reads documents, no layers. That no
// image fits the platform, or several do, is no error.
func Inspect(ref Ref, o OpenOptions) (*Inspection, error) {
	i, err := inspect(ref, o)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", quote(ref.String()), err)
	}
	return i, nil
}

func inspect(ref Ref, o OpenOptions) (_ *Inspection, err error) {
	want, err := wantedPlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	p, err := locate(ref, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = also(err, p.close()) }()
	all := &selection{want: want}
	if err := p.images.find(all); err != nil {
		return nil, err
	}
	oci, _ := p.images.(*ociImages)
	if err := all.settle(all.usable(), oci != nil && len(oci.items) > 0); err != nil {
		return nil, err
	}
	if oci != nil {
		oci.addItemNames(all)
	}
	i := &Inspection{Name: ref.String(), Form: p.form}
	var choice *choiceError
	img, err := p.choose(ref, want)
	switch {
	case errors.As(err, &choice):
		i.Problem = choice.Error()
	case err != nil:
		return nil, err
	default:
		i.Image = img.details()
	}
	i.Tags = orEmpty(all.tags())
	i.Platforms = orEmpty(all.platforms())
	p.remember()
	for _, c := range all.found {
		i.Found = append(i.Found, c.describe())
	}
	return i, nil
}

func (c *candidate) describe() Found {
	f := Found{Digest: digestName(c.desc.Digest), Tags: orEmpty(c.called()), Not: c.why}
	if c.platform != nil {
		f.Platform = platformName(*c.platform)
	}
	return f
}

func (i *Image) details() *Details {
	d := &Details{
		Digest: digestName(i.Digest), MediaType: i.MediaType, Tag: i.Tag, Platform: platformName(i.Platform),
		ConfigDigest: digestName(i.ConfigDigest), Config: i.RawConfig, Annotations: i.Annotations,
		Layers: []LayerDetails{}, History: []HistoryDetails{}, Dirs: i.Dirs, Bundle: i.Bundle,
	}
	for _, l := range i.Layers {
		d.Layers = append(d.Layers, LayerDetails{l.MediaType, digestName(l.Digest), digestName(l.DiffID), l.Size})
		d.Size += l.Size
	}
	layer := 0
	for _, h := range i.Config.History {
		entry := HistoryDetails{History: h}
		if !h.EmptyLayer && layer < len(i.Layers) {
			layer++
			entry.Layer = layer
		}
		d.History = append(d.History, entry)
	}
	return d
}

// digestName is "" for the zero Hash.
func digestName(h v1.Hash) string {
	if h.Hex == "" {
		return ""
	}
	return h.String()
}

// orEmpty is list, as JSON [] rather than null.
func orEmpty(list []string) []string {
	return append([]string{}, list...)
}
