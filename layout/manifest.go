package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// loadManifest reads the manifest of desc and its config. If they turn out to
// be something else than an image that can be used, why says what.
func loadManifest(dir *blobs, desc v1.Descriptor) (img *Image, why string, err error) {
	raw, err := dir.document(desc)
	if err != nil {
		return nil, "", fmt.Errorf("manifest: %w", err)
	}
	return loadConfig(dir, desc, raw)
}

// loadConfig reads the config that the manifest raw names, as loadManifest
// does.
func loadConfig(dir *blobs, desc v1.Descriptor, raw []byte) (img *Image, why string, err error) {
	m, err := parseManifest(raw)
	if err != nil {
		return nil, "", fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	if m.ArtifactType != "" && !configTypes[m.ArtifactType] {
		return nil, "an artifact of type " + quote(m.ArtifactType), nil
	}
	if !configTypes[string(m.Config.MediaType)] {
		return nil, "an artifact: its config is of media type " + quote(string(m.Config.MediaType)), nil
	}
	img = &Image{
		Digest:       desc.Digest,
		MediaType:    string(desc.MediaType),
		ConfigDigest: m.Config.Digest,
		rawManifest:  raw,
		Annotations:  m.Annotations,
	}
	if img.RawConfig, err = dir.document(m.Config); err != nil {
		return nil, "", fmt.Errorf("config: %w", err)
	}
	if err := img.describe(dir, m); err != nil {
		return nil, "", err
	}
	return img, img.unusable(), nil
}

// unusable says what makes an image one that can't be run here, or "".
func (i *Image) unusable() string {
	if i.Config.OS == "windows" {
		return "a windows image, which cannot run here"
	}
	for n, l := range i.Layers {
		if why := layerFault(l.MediaType); why != "" {
			return fmt.Sprintf("not supported: layer %d (%s) %s", n+1, l.label(), why)
		}
	}
	return ""
}

// describe fills in Config and Layers from RawConfig and the manifest.
func (i *Image) describe(dir *blobs, m *v1.Manifest) error {
	diffIDs, err := i.parseConfig()
	if err != nil {
		return fmt.Errorf("config %s: %w", i.ConfigDigest, err)
	}
	if len(diffIDs) != len(m.Layers) {
		return fmt.Errorf("manifest has %d layers, config has %d diff_ids", len(m.Layers), len(diffIDs))
	}
	for n, d := range m.Layers {
		if d.Digest.Hex == "" || d.Size < 0 {
			return fmt.Errorf("layer %d: descriptor without digest or size", n+1)
		}
		i.Layers = append(i.Layers, Layer{
			MediaType: string(d.MediaType),
			Digest:    d.Digest,
			DiffID:    diffIDs[n],
			Size:      d.Size,
			open:      func() (io.ReadCloser, error) { return openLayer(dir, d) },
		})
	}
	return nil
}

// parseConfig decodes RawConfig and returns its diff_ids.
func (i *Image) parseConfig() ([]v1.Hash, error) {
	if err := json.Unmarshal(i.RawConfig, &i.Config); err != nil {
		return nil, configError(i.RawConfig, err)
	}
	if i.Config.RootFS.Type != "layers" {
		return nil, fmt.Errorf("rootfs.type is %s, want %q", quote(i.Config.RootFS.Type), "layers")
	}
	ids := make([]v1.Hash, 0, len(i.Config.RootFS.DiffIDs))
	for n, d := range i.Config.RootFS.DiffIDs {
		h, err := v1.NewHash(string(d))
		if err != nil {
			return nil, fmt.Errorf("rootfs.diff_ids[%d]: %w", n, foreign(err))
		}
		ids = append(ids, h)
	}
	return ids, nil
}

func openLayer(dir *blobs, d v1.Descriptor) (io.ReadCloser, error) {
	r, err := dir.blob(d)
	if err != nil && len(d.URLs) > 0 && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w, and its urls are never fetched", err)
	}
	return r, err
}
