package codec

import "reflect"

// RegisterType is Register for a type that is made at run time.
func RegisterType(types *Types, name string, version int, t reflect.Type) error {
	e, err := newEntry(name, version, t)
	if err != nil {
		return err
	}
	e.decode = func(src []byte) (any, error) {
		v := reflect.New(t)
		err := e.into(src, v.Interface())
		return v.Elem().Interface(), err
	}
	return types.add(e)
}

// Reading and Writing are the modes of CBOR, to look at their options.
var Reading, Writing = reading, writing

// CheckType is what Register asks.
func CheckType(t reflect.Type) error { _, err := checkType(t); return err }

// MayHoldRefs decides whether Config.Refs is held.
var MayHoldRefs = mayHoldRefs
