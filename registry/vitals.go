package registry

import (
	"maps"
	"reflect"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/vitals"
)

func init() {
	vitals.Names = func(s any, yield func(name, path string, message reflect.Type) bool) {
		extension.Of(s.(*actor.System)).names.Range(func(name, e any) bool {
			_, path := e.(owner).who()
			return yield(name.(string), path, e.(owner).message())
		})
	}
	vitals.Groups = func(s any, yield func(name string, message reflect.Type, members int, paths []string) bool) {
		r := extension.Of(s.(*actor.System))
		r.mu.Lock()
		groups := maps.Clone(r.groups)
		r.mu.Unlock()
		for name, g := range groups {
			paths, n := g.some(vitals.MaxMembers)
			if !yield(name, g.message(), n, paths) {
				return
			}
		}
	}
}
