package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The kinds of documents a descriptor can name.
const (
	kindIndex    = "index"
	kindManifest = "manifest"
)

// documentKinds maps media types to kinds, OCI's and docker's alike.
var documentKinds = map[string]string{
	"application/vnd.oci.image.index.v1+json":                   kindIndex,
	"application/vnd.docker.distribution.manifest.list.v2+json": kindIndex,
	"application/vnd.oci.image.manifest.v1+json":                kindManifest,
	"application/vnd.docker.distribution.manifest.v2+json":      kindManifest,
}

// configTypes are the media types of image configs.
var configTypes = map[string]bool{
	"application/vnd.oci.image.config.v1+json":       true,
	"application/vnd.docker.container.image.v1+json": true,
}

// layerTypes are the media types of layers that are tar streams. What follows
// a "+" or the docker spelling of a compression is a label, not trusted.
var layerTypes = map[string]bool{
	"application/vnd.oci.image.layer.v1.tar":                  true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar": true,
	"application/vnd.docker.image.rootfs.diff.tar":            true,
	"application/vnd.docker.image.rootfs.foreign.diff.tar":    true,
}

// layerFault says why a media type is not that of a plain or compressed tar
// stream, or "".
func layerFault(mediaType string) string {
	if strings.HasSuffix(mediaType, "+encrypted") {
		return "is encrypted"
	}
	base, compression, _ := strings.Cut(mediaType, "+")
	for _, docker := range []string{".gzip", ".zstd"} {
		if b, ok := strings.CutSuffix(base, docker); ok && strings.HasPrefix(base, "application/vnd.docker.") {
			base = b
		}
	}
	switch compression {
	case "", "gzip", "zstd":
		if layerTypes[base] {
			return ""
		}
	}
	return "is of media type " + quote(mediaType)
}

// passOver says why a descriptor names no image, or "".
func passOver(d v1.Descriptor) string {
	mediaType := string(d.MediaType)
	switch {
	case d.Annotations["vnd.docker.reference.type"] != "":
		return "an attestation"
	case d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown":
		return "an attestation"
	case d.ArtifactType != "" && !configTypes[d.ArtifactType]:
		return "an artifact of type " + quote(d.ArtifactType)
	case strings.HasPrefix(mediaType, "application/vnd.docker.distribution.manifest.v1+"):
		return "a docker schema 1 image, which is not supported"
	case documentKinds[mediaType] == "":
		return "of media type " + quote(mediaType)
	}
	return ""
}

// checkKind refuses a document that is not, or not only, of the kind its
// descriptor says: read as the other kind, it would be another image
// (CVE-2021-41190). both says that it has fields of the other kind.
func checkKind(kind string, schemaVersion int64, mediaType string, both bool) error {
	switch {
	case schemaVersion == 1:
		return errors.New("docker schema 1 is not supported")
	case schemaVersion != 2:
		return fmt.Errorf("schemaVersion is %d, want 2", schemaVersion)
	case mediaType != "" && documentKinds[mediaType] != kind:
		return fmt.Errorf("mediaType is %s, but what refers to it says %s", quote(mediaType), kind)
	case both:
		return errors.New("has the fields of an index and those of a manifest")
	}
	return nil
}

// parseIndex parses a document that its descriptor, or its place, says to be
// an index.
func parseIndex(raw []byte) (*v1.IndexManifest, error) {
	var doc struct {
		v1.IndexManifest
		Config json.RawMessage `json:"config"`
		Layers json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, foreign(err)
	}
	both := doc.Config != nil || doc.Layers != nil
	if err := checkKind(kindIndex, doc.SchemaVersion, string(doc.MediaType), both); err != nil {
		return nil, err
	}
	return &doc.IndexManifest, nil
}

// parseManifest parses a document that its descriptor says to be a manifest.
func parseManifest(raw []byte) (*v1.Manifest, error) {
	var doc struct {
		v1.Manifest
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, foreign(err)
	}
	if err := checkKind(kindManifest, doc.SchemaVersion, string(doc.MediaType), doc.Manifests != nil); err != nil {
		return nil, err
	}
	return &doc.Manifest, nil
}
