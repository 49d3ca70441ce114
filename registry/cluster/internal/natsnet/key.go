package natsnet

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// keyMax is the length of the longest encoded key. The server ends a connection for good that sends
// it a control line of more than 4,096 bytes.
const keyMax = 1024

// ErrKey says that a key can't be written.
var ErrKey = errors.New("cluster: key of the directory")

// encodeKey returns a key as the end of a subject. The first '/' becomes a dot, so that permissions
// can tell kinds of keys apart; letters, digits, '/', '-' and '_' stay, all else is "=" and two
// hexadecimal digits. Keys of a bucket may not have more.
func encodeKey(key string) (string, error) {
	kind, name, ok := strings.Cut(key, "/")
	if !ok || !ValidToken(kind) || name == "" {
		return "", fmt.Errorf("%w: %q is not a kind, a slash and a name", ErrKey, key)
	}
	var b strings.Builder
	b.WriteString(kind)
	b.WriteByte('.')
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '/' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	if b.Len() > keyMax {
		return "", fmt.Errorf("%w: it has %d bytes when it is encoded, at most %d are allowed", ErrKey, b.Len(), keyMax)
	}
	return b.String(), nil
}

// decodeKey returns the key of the end of a subject.
func decodeKey(s string) (string, bool) {
	kind, name, ok := strings.Cut(s, ".")
	if !ok {
		return "", false
	}
	var b strings.Builder
	b.WriteString(kind)
	b.WriteByte('/')
	for i := 0; i < len(name); i++ {
		if name[i] != '=' {
			b.WriteByte(name[i])
			continue
		}
		if len(name) < i+3 {
			return "", false
		}
		x, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(x))
		i += 2
	}
	key := b.String()
	again, err := encodeKey(key)
	return key, err == nil && again == s
}
