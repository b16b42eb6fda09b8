package web

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// pageInput asks for a part of a list. Without either parameter the list is
// answered as a whole.
type pageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"How many entries to answer with; 100 when only a cursor is given, and without either the whole list. Where more follow, the header Link names the next page with rel=next" example:"100"`
	Cursor string `query:"cursor" maxLength:"256" doc:"Where the page begins: taken from the link to it, and otherwise opaque"`
}

const defaultPage = 100

func (in pageInput) asked() bool { return in.Limit != 0 || in.Cursor != "" }

func (in pageInput) size() int { return cmp.Or(in.Limit, defaultPage) }

// after returns the key of the last entry of the page before, or "" for the first
// page. A cursor is good for the list that gave it out and for no other.
func (in pageInput) after(operation string) (string, error) {
	if in.Cursor == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	key, ok := strings.CutPrefix(string(raw), operation+" ")
	if err != nil || !ok || key == "" {
		p := newProblem(http.StatusBadRequest, codeBadRequest, "this is no cursor of this list; take the link to the next page as it is, or begin at the first page without a cursor")
		p.Field = "cursor"
		return "", p
	}
	return key, nil
}

// linkNext names the next page in the answer's header. The reference is relative,
// so that it holds behind a proxy, too.
func linkNext(ctx context.Context, operation, lastKey string, size int) {
	x := exchangeOf(ctx)
	query := x.url.Query()
	query.Set("limit", strconv.Itoa(size))
	query.Set("cursor", base64.RawURLEncoding.EncodeToString([]byte(operation+" "+lastKey)))
	x.Header().Set("Link", "<?"+query.Encode()+`>; rel="next"`)
}

// paged returns the part of a list that is asked for and links to the next. The
// list is in ascending order of its keys, no two of which are the same; an entry
// that leaves or joins it between two pages shifts no other.
func paged[T any](ctx context.Context, operation string, in pageInput, list []T, key func(T) string) ([]T, error) {
	if !in.asked() {
		return list, nil
	}
	after, err := in.after(operation)
	if err != nil {
		return nil, err
	}
	list = list[sort.Search(len(list), func(i int) bool { return key(list[i]) > after }):]
	if size := in.size(); len(list) > size {
		list = list[:size]
		linkNext(ctx, operation, key(list[size-1]), size)
	}
	return list, nil
}
