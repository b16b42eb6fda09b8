package web

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"bahi/access"
)

var nextPage = regexp.MustCompile(`^<(\?[^>]+)>; rel="next"$`)

// pages walks through a list by its links and returns what each page holds.
func (s *service) pages(t *testing.T, role, path, query string) (all []string) {
	t.Helper()
	for range 20 {
		got := s.ask(t, role, "GET", path+query, "")
		if got.status != 200 {
			t.Fatalf("%s%s is answered %d %s", path, query, got.status, got.body)
		}
		all = append(all, got.body)
		link := got.header.Get("Link")
		if link == "" {
			return all
		}
		next := nextPage.FindStringSubmatch(link)
		if next == nil {
			t.Fatalf("the link is %q", link)
		}
		query = next[1]
	}
	t.Fatalf("%s has no end", path)
	return nil
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	var people []int
	for n := range 7 {
		s.submit(t, registrationOf(n+1), doseOf(n+1), reversalOf(n+1))
		people = append(people, n+1)
	}
	for _, n := range people {
		if got := s.ask(t, officer, "GET", "/v1/people/"+string(referenceOf(n))+"?officer=o-1&purpose=medical", ""); got.status != 200 {
			t.Fatal(got.body)
		}
		s.issue(t, access.Grant{Role: analyst})
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, _ := pair.PublicKey()
		if err := s.access.AddCentre(t.Context(), access.Installation(authority), access.Centre{District: muzaffarpur, Code: fmt.Sprint(208000 + n), NKey: public}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		role, path, one string
		entries         int
	}{
		{auditor, "/v1/audit", `"purpose":`, 7},
		{auditor, "/v1/audit/access", `"kind":`, 14},
		{officer, "/v1/reversals", `"request":`, 7},
		{operator, "/v1/tokens", `"role":`, 7},
		{operator, "/v1/centres", `"centre":`, 7},
		{operator, "/v1/freezes", `"freeze":`, 0},
		{operator, "/v1/quarantine", `"code":`, 0},
	} {
		whole := s.pages(t, test.role, test.path, "")
		if len(whole) != 1 || strings.Count(whole[0], test.one) != test.entries {
			t.Errorf("%s as a whole: %d pages, %s", test.path, len(whole), whole)
		}
		entry := regexp.MustCompile(`"(sequence|request|id|nkey)":"?[\w-]+`)
		for _, limit := range []int{1, 3, 7, 1000} {
			var got []string
			pages := s.pages(t, test.role, test.path, fmt.Sprintf("?limit=%d", limit))
			for _, page := range pages {
				if strings.Count(page, test.one) > limit {
					t.Errorf("%s: a page of %d holds %s", test.path, limit, page)
				}
				got = append(got, entry.FindAllString(page, -1)...)
			}
			if want := entry.FindAllString(whole[0], -1); !slices.Equal(got, want) {
				t.Errorf("%s in pages of %d: %v, want %v", test.path, limit, got, want)
			}
		}
		for _, query := range []string{"?limit=0", "?limit=1001", "?limit=x", "?cursor=x", "?cursor=%21", "?cursor=" + url.QueryEscape("YXVkaXQ")} {
			if got := s.ask(t, test.role, "GET", test.path+query, ""); got.status != 400 || got.problem(t).Code != codeBadRequest {
				t.Errorf("%s%s is answered %d %s", test.path, query, got.status, got.body)
			}
		}
	}
	// A cursor of one list is none of another's; the filter goes along.
	first := s.ask(t, officer, "GET", "/v1/reversals?district=208&limit=2", "")
	query := nextPage.FindStringSubmatch(first.header.Get("Link"))[1]
	if !strings.Contains(query, "district=208") {
		t.Errorf("the link forgets the district: %s", query)
	}
	if got := s.ask(t, auditor, "GET", "/v1/audit"+strings.Replace(query, "district=208&", "", 1), ""); got.status != 400 {
		t.Errorf("another list's cursor is answered %d %s", got.status, got.body)
	}
}
