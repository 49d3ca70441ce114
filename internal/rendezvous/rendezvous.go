// Package rendezvous has the hash functions with which a key chooses one of several members, the
// same one in every process (D. Thaler and C. Ravishankar, "Using name-based mappings to increase
// hit rates", 1998): the member with the highest weight has the key. When a member leaves, only its
// keys move to others. When one joins, it takes an equal share of keys from each.
package rendezvous

// Hash is FNV-1a, which is the same in every process.
func Hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}

// Weight mixes the hash of a key with the number of a member. It is the finalizer of splitmix64 (G.
// Steele, D. Lea, C. Flood, 2014), in which every bit of the input changes half of the bits of the
// result.
func Weight(h, member uint64) uint64 {
	x := h + member*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
