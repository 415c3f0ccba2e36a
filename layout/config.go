package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// readConfig reads the config that belongs to directories: a whole image
// config or only its config object, keys in any case as encoding/json has it.
// RawConfig is the whole config either way.
func (i *Image) readConfig(path string, pipe bool, limits Limits) error {
	raw, err := readDocument(path, pipe, limits)
	if err != nil {
		return err
	}
	if err := i.setConfig(raw); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (i *Image) setConfig(raw []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return foreign(err)
	}
	if keys == nil {
		return errors.New("not a JSON object")
	}
	whole, err := isWhole(keys)
	if err != nil {
		return err
	}
	if !whole {
		raw = append(append([]byte(`{"config":`), raw...), '}')
	}
	if err := json.Unmarshal(raw, &i.Config); err != nil {
		return configError(raw, err)
	}
	sum := sha256.Sum256(raw)
	i.RawConfig = raw
	i.ConfigDigest = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	return nil
}

// configError explains why a config can't be decoded. Of a time json does not say
// in which field it is.
func configError(raw []byte, err error) error {
	var bad *time.ParseError
	var top struct {
		Created *time.Time `json:"created"`
	}
	switch {
	case !errors.As(err, &bad) && !strings.HasPrefix(err.Error(), "Time.UnmarshalJSON"):
		return foreign(err)
	case json.Unmarshal(raw, &top) != nil:
		return fmt.Errorf("created: %w", foreign(err))
	}
	return fmt.Errorf("history[].created: %w", foreign(err))
}

// isWhole tells an image config from its config object by the keys.
func isWhole(keys map[string]json.RawMessage) (bool, error) {
	var whole, object, other string
	for key := range keys {
		switch {
		case hasKey(reflect.TypeFor[ispec.Image](), key):
			whole = key
		case hasKey(reflect.TypeFor[ispec.ImageConfig](), key) || isDockerKey(key):
			object = key
		default:
			other = key
		}
	}
	switch {
	case whole != "" && object != "":
		return false, fmt.Errorf("has %s of an image config beside %s of its config object", quote(whole), quote(object))
	case whole == "" && object == "" && other != "":
		return false, fmt.Errorf("neither an image config nor its config object: %s belongs to neither", quote(other))
	}
	return whole != "", nil
}

// hasKey says whether a struct type has a JSON field called key, in any case.
func hasKey(t reflect.Type, key string) bool {
	for n := range t.NumField() {
		f := t.Field(n)
		if f.Anonymous && hasKey(f.Type, key) {
			return true
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if strings.EqualFold(name, key) && name != "" {
			return true
		}
	}
	return false
}

// dockerKeys are the keys of a config object that only docker has.
var dockerKeys = [...]string{
	"Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce",
	"Healthcheck", "Image", "NetworkDisabled", "MacAddress", "OnBuild", "StopTimeout", "Shell",
}

// isDockerKey knows dockerKeys, in any case.
func isDockerKey(key string) bool {
	return slices.ContainsFunc(dockerKeys[:], func(k string) bool { return strings.EqualFold(k, key) })
}

// readDocument reads a JSON document at a path, through symlinks. A pipe can
// only be what the caller named: in an image it would be waited for in vain.
func readDocument(path string, pipe bool, limits Limits) ([]byte, error) {
	flags := os.O_RDONLY
	if !pipe {
		flags |= unix.O_NONBLOCK
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !pipe && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, limits.JSON+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(raw)) > limits.JSON:
		return nil, &LimitError{"JSON", path + ": document is too large", limits.JSON}
	case len(raw) == 0:
		return nil, fmt.Errorf("%s: empty", path)
	}
	return raw, nil
}
