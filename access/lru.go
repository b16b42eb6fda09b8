package access

import "container/list"

// lru keeps the values that were asked for last, at most most of them.
type lru[V any] struct {
	most   int
	order  *list.List // of *kept[V], the last used first
	values map[string]*list.Element
}

type kept[V any] struct {
	key   string
	value V
}

func newLRU[V any](most int) *lru[V] {
	return &lru[V]{most: most, order: list.New(), values: map[string]*list.Element{}}
}

// get returns the value of a key, which is made when it is not there.
func (l *lru[V]) get(key string, make func() V) V {
	if e, ok := l.values[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*kept[V]).value
	}
	for len(l.values) >= l.most {
		l.drop(l.order.Back().Value.(*kept[V]).key)
	}
	v := make()
	l.values[key] = l.order.PushFront(&kept[V]{key, v})
	return v
}

func (l *lru[V]) drop(key string) {
	if e, ok := l.values[key]; ok {
		l.order.Remove(e)
		delete(l.values, key)
	}
}
