package access

import "container/list"

// lru keeps the values that were used last, at most most of them.
type lru[V any] struct {
	most   int
	order  *list.List // of kept[V], the last used first
	values map[string]*list.Element
}

type kept[V any] struct {
	key   string
	value V
}

func newLRU[V any](most int) *lru[V] {
	return &lru[V]{most: most, order: list.New(), values: map[string]*list.Element{}}
}

func (l *lru[V]) get(key string) (v V, ok bool) {
	e, ok := l.values[key]
	if !ok {
		return v, false
	}
	l.order.MoveToFront(e)
	return e.Value.(kept[V]).value, true
}

// put keeps a value under a key that has none.
func (l *lru[V]) put(key string, v V) {
	for len(l.values) >= l.most {
		l.drop(l.order.Back().Value.(kept[V]).key)
	}
	l.values[key] = l.order.PushFront(kept[V]{key, v})
}

func (l *lru[V]) drop(key string) {
	if e, ok := l.values[key]; ok {
		l.order.Remove(e)
		delete(l.values, key)
	}
}
