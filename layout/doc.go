// Package layout reads container images and materialises their root
// filesystems.
//
// An image is foreign input from end to end: documents are bounded, blobs and
// layers are verified against their digests to the last byte, and no entry of
// a layer reaches outside the directory it is unpacked into. The package
// prints nothing and reads no environment: the caller passes everything.
package layout
