package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an opened image: its documents read and verified, its layers not
// yet touched. It holds no open file.
type Image struct {
	Name      string      // the argument it was opened by
	Digest    v1.Hash     // of the manifest
	MediaType string      // of the manifest
	Platform  v1.Platform // what it was selected as; the descriptor's wins over the config's
	Tag       string      // "" when its descriptor has none
	Config    ispec.Image // RawConfig, decoded
	RawConfig []byte      // the config as stored; its digest is ConfigDigest

	ConfigDigest v1.Hash
	Annotations  map[string]string // the manifest's
	Layers       []Layer           // lowest first
}

// Layer is one layer of an image.
type Layer struct {
	MediaType string
	Digest    v1.Hash // of the blob as stored
	DiffID    v1.Hash // of the whole decompressed stream
	Size      int64   // of the blob in bytes

	open func() (io.ReadCloser, error)
}

// Open returns the blob as stored. Its reader fails at the end, instead of
// io.EOF, if size or digest are not the layer's.
func (l *Layer) Open() (io.ReadCloser, error) { return l.open() }

// ChainID is the image-spec's ChainID over the diff_ids: what the layers
// applied in order amount to. It is the zero Hash of an image without layers.
func (i *Image) ChainID() v1.Hash {
	var chain v1.Hash
	for n, layer := range i.Layers {
		if n == 0 {
			chain = layer.DiffID
			continue
		}
		sum := sha256.Sum256([]byte(chain.String() + " " + layer.DiffID.String()))
		chain = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	}
	return chain
}
