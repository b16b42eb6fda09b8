package formats

import (
	"slices"
	"strings"

	"bahi/domain"
)

// node is a value of a foreign JSON record. Objects and lists are opened when a
// reader comes to them. What no reader has taken in the end is dropped, and
// [node.untaken] names it: nothing is passed over in silence because somebody
// forgot to list it.
type node struct {
	value  value
	name   string // "" of an element of a list
	parent *node
	taken  bool
	opened bool
	within []*node
}

// foreignScanner reads JSON of which addresses are dropped like anything else:
// nobody has to look for them in every name.
func foreignScanner(text string) scanner { return scanner{line: text, notCollected: "not looked for"} }

// openRecord makes a node of one JSON object, as a [splitter] finds it.
func openRecord(text string) *node {
	return &node{value: value{text: text, kind: kindObject}}
}

// hasMember tells whether an object has a member of one of these names.
func hasMember(text string, names ...string) bool {
	found := false
	scan := foreignScanner(text)
	scan.object(0, func(name string, _ value) bool {
		found = slices.Contains(names, name)
		return !found
	})
	return found
}

func (n *node) open() []*node {
	if n.opened {
		return n.within
	}
	n.opened = true
	scan := foreignScanner(n.value.text)
	switch n.value.kind {
	case kindObject:
		scan.object(0, func(name string, v value) bool {
			n.within = append(n.within, &node{value: v, name: name, parent: n})
			return true
		})
	case kindArray:
		scan.array(0, func(v value) bool {
			n.within = append(n.within, &node{value: v, parent: n})
			return true
		})
	}
	return n.within
}

// at returns the member that a path of names leads to. There always is one: where
// the record has none it is empty, and knows its name for a rejection.
func (n *node) at(path ...string) *node {
	for _, name := range path {
		i := slices.IndexFunc(n.open(), func(m *node) bool { return m.name == name && n.value.kind == kindObject })
		if i < 0 {
			n = &node{name: name, parent: n}
		} else {
			n = n.within[i]
		}
	}
	return n
}

// each returns the elements of a list. A value that stands alone where a list is
// meant is its one element.
func (n *node) each() []*node {
	switch {
	case n.value.kind == kindArray:
		return n.open()
	case n.is():
		return []*node{n}
	}
	return nil
}

// first returns the first element of a list, or an empty one.
func (n *node) first() *node {
	if all := n.each(); len(all) > 0 {
		return all[0]
	}
	return &node{parent: n}
}

// text takes a text or a number, without blanks around it. Anything else, and
// text with half a character in it, is "".
func (n *node) text() string {
	n.taken = true
	return n.peek()
}

// peek is text that leaves it open whether the value is used.
func (n *node) peek() string {
	switch n.value.kind {
	case kindNumber:
		return n.value.text
	case kindString:
		s, _ := n.value.unquoted()
		return strings.TrimSpace(s)
	}
	return ""
}

// is tells whether there is a value: neither null nor an empty text, list or
// object.
func (n *node) is() bool {
	switch n.value.kind {
	case 0, kindNull:
		return false
	case kindString:
		return strings.TrimSpace(n.value.text) != ""
	case kindObject, kindArray:
		return len(n.open()) > 0
	}
	return true
}

// path returns the names that lead to the value, such as recipient.address.
func (n *node) path() string {
	var names []string
	for m := n; m != nil; m = m.parent {
		if m.name != "" {
			names = append(names, m.name)
		}
	}
	slices.Reverse(names)
	return strings.Join(names, ".")
}

// twice returns the first member that stands twice in an object that a reader
// opened. Which of the two was meant nobody can say.
func (n *node) twice() (*node, bool) {
	if !n.opened {
		return nil, false
	}
	names := make(map[string]bool, len(n.within))
	for _, m := range n.within {
		if n.value.kind == kindObject && names[m.name] {
			return m, true
		}
		names[m.name] = true
		if t, found := m.twice(); found {
			return t, true
		}
	}
	return nil, false
}

func twiceThere(n *node) *domain.Rejection {
	return rejection(domain.CodeBadJSON, shownPath(n.path()), "the member stands twice in the record; leave one")
}

// maxDropped is how many names of what was dropped a verdict carries.
const maxDropped = 20

// untaken names what was carried and not taken, each path once. An object of
// which nothing was taken is named and not its members, and so is an address of
// which a part was.
func (n *node) untaken() []string {
	var names []string
	n.collect(&names)
	return names
}

func (n *node) collect(names *[]string) {
	if n.taken || !n.is() || len(*names) > maxDropped {
		return
	}
	if n.parent != nil && (!n.anyTaken() || n.name != "" && isNotCollected(n.name)) {
		drop(names, n.path())
		return
	}
	for _, m := range n.open() {
		m.collect(names)
	}
}

func (n *node) anyTaken() bool {
	return n.taken || n.opened && slices.ContainsFunc(n.within, (*node).anyTaken)
}

// drop adds a name to those of a verdict, once, as far as it may be shown, and
// marks where they end when there are too many.
func drop(names *[]string, path string) {
	if len(*names) > maxDropped {
		return
	}
	name := shownPath(path)
	if name == "" || len(*names) == maxDropped {
		name = notShown
	}
	if !slices.Contains(*names, name) {
		*names = append(*names, name)
	}
}
