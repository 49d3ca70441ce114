package codec

import (
	"fmt"
	"reflect"
	"sync"
)

// plain has the *entry, or the error, of each type that was asked for by CheckPlain. A program has
// as many as it has types of answers.
var plain sync.Map

func plainOf(t reflect.Type) (*entry, error) {
	has, ok := plain.Load(t)
	if !ok {
		e, err := newEntry(t.String(), 0, t)
		if has = e; err != nil {
			has = err
		}
		plain.Store(t, has)
	}
	if err, bad := has.(error); bad {
		return nil, err
	}
	return has.(*entry), nil
}

// plainOf is plainOf, which finds the last two types at once: those of the answers that go out and
// come in when one kind of call is made much.
func (p *Peer) plainOf(t reflect.Type) (*entry, error) {
	for _, e := range p.plain {
		if e != nil && e.typ == t {
			return e, nil
		}
	}
	e, err := plainOf(t)
	if err == nil {
		p.plain[0], p.plain[1] = e, p.plain[0]
	}
	return e, err
}

// CheckPlain returns why values of a type can't be sent by AppendPlain: a *NotEncodableError. It
// returns nil for an interface, whose values are messages.
func (p *Peer) CheckPlain(t reflect.Type) error {
	if t.Kind() == reflect.Interface {
		return nil
	}
	_, err := p.plainOf(t)
	return err
}

// AppendPlain appends the encoding of *v without a number of its type, which the reader knows. The
// type need not be registered. Errors are those of Append and CheckPlain.
func (p *Peer) AppendPlain(dst []byte, v any) ([]byte, error) {
	e, err := p.plainOf(reflect.TypeOf(v).Elem())
	if err != nil {
		return dst, err
	}
	b, err := p.append(dst, e, v, true)
	if err != nil {
		return dst, err
	}
	if len(b)-len(dst) > p.max {
		return dst, fmt.Errorf("%w: %q has %d bytes, at most %d are allowed", ErrTooLarge, e.name, len(b)-len(dst), p.max)
	}
	return b, e.fits(b[len(dst):], p.max)
}

// DecodePlain decodes what AppendPlain has encoded into *v, which must be zero. Errors are those of
// Decode.
func (p *Peer) DecodePlain(src []byte, v any) (err error) {
	if len(src) > p.max {
		return fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(src), p.max)
	}
	e, err := p.plainOf(reflect.TypeOf(v).Elem())
	if err != nil {
		return err
	}
	return p.into(e, src, v)
}
