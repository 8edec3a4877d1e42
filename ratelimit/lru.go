package ratelimit

import "container/list"

// lru is a map with a bound that forgets what was not used for longest.
type lru[K comparable, V any] struct {
	max   int
	order *list.List // of *lruItem, most recently used first
	items map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{max: limit, order: list.New(), items: make(map[K]*list.Element)}
}

// get returns the value of key, made by fresh if there is none, and marks it as used.
func (l *lru[K, V]) get(key K, fresh func() V) V {
	if el, ok := l.items[key]; ok {
		l.order.MoveToFront(el)
		return el.Value.(*lruItem[K, V]).value
	}
	if len(l.items) >= l.max {
		oldest := l.order.Back()
		delete(l.items, oldest.Value.(*lruItem[K, V]).key)
		l.order.Remove(oldest)
	}
	item := &lruItem[K, V]{key: key, value: fresh()}
	l.items[key] = l.order.PushFront(item)
	return item.value
}

// peek returns the value of key, and false if there is none. It does not count as a use.
func (l *lru[K, V]) peek(key K) (v V, ok bool) {
	if el, ok := l.items[key]; ok {
		return el.Value.(*lruItem[K, V]).value, true
	}
	return v, false
}

func (l *lru[K, V]) len() int { return len(l.items) }

func (l *lru[K, V]) each(do func(V)) {
	for _, el := range l.items {
		do(el.Value.(*lruItem[K, V]).value)
	}
}
