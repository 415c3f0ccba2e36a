package layout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// versionFile marks skopeo's "dir": a manifest.json, and beside it each blob
// under the hex of its digest.
const (
	versionFile   = "version"
	versionPrefix = "Directory Transport Version: 1."
)

// openDir opens skopeo's "dir". What its manifest.json is shows in the
// document, which nothing refers to.
func openDir(src source, limits Limits) (images, error) {
	b := &blobs{source: src, limits: limits, place: dirPlace}
	version, err := b.file(versionFile)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(version, []byte(versionPrefix)) {
		return nil, fmt.Errorf("%s: %s is not version 1 of the directory transport", versionFile, quote(string(version)))
	}
	raw, err := b.file(dockerFile)
	if err != nil {
		return nil, err
	}
	var doc struct {
		SchemaVersion int64           `json:"schemaVersion"`
		MediaType     string          `json:"mediaType"`
		Manifests     json.RawMessage `json:"manifests"`
		Config        json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", dockerFile, foreign(err))
	}
	if documentKinds[doc.MediaType] == kindIndex || doc.MediaType == "" && doc.Manifests != nil {
		index, err := parseIndex(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dockerFile, err)
		}
		return untagged{&ociImages{b, dockerFile, index, nil}}, nil
	}
	if doc.MediaType == "" && doc.SchemaVersion != 1 && doc.Config == nil {
		return nil, fmt.Errorf("%s: neither a manifest nor an index", dockerFile)
	}
	sum := sha256.Sum256(raw)
	desc := v1.Descriptor{
		MediaType: types.MediaType(doc.MediaType),
		Digest:    v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])},
		Size:      int64(len(raw)),
	}
	if desc.MediaType == "" {
		desc.MediaType = types.OCIManifestSchema1
	}
	return dirManifest{b, desc, raw}, nil
}

// dirPlace is where a "dir" has a blob, or a manifest of its list.
func dirPlace(d v1.Descriptor) string {
	name := d.Digest.Hex
	if d.Digest.Algorithm != "sha256" {
		name = d.Digest.Algorithm + "-" + name
	}
	if documentKinds[string(d.MediaType)] != "" {
		name += ".manifest.json"
	}
	return name
}

// dirManifest is the image of a "dir" without a manifest list.
type dirManifest struct {
	*blobs
	desc v1.Descriptor
	raw  []byte
}

func (d dirManifest) find(s *selection) error {
	s.doc = dockerFile
	if s.tag != "" && s.tag != d.desc.Digest.String() {
		return s.noTag(nil)
	}
	s.add(candidate{desc: d.desc, read: func() (*Image, string, error) { return loadConfig(d.blobs, d.desc, d.raw) }})
	return nil
}

// untagged are images that no tag can name, but their digests.
type untagged struct{ *ociImages }

func (u untagged) find(s *selection) error {
	if s.tag != "" && !isDigest(s.tag) {
		s.doc = u.doc
		return s.noTag(nil)
	}
	return u.ociImages.find(s)
}
