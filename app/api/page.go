package api

import (
	"context"
	"strings"

	"github.com/valor-ivx/weir/app/store"
)

type listRunsInput struct {
	Cursor      string `query:"cursor" maxLength:"2000" doc:"next_cursor or prev_cursor of another page, instead of page: as fast in the middle of a long list as at its ends"`
	Page        int64  `query:"page" default:"1" minimum:"1" maximum:"1000000000"`
	PerPage     int64  `query:"per_page" default:"20" minimum:"1" maximum:"100"`
	SortBy      string `query:"sort_by" default:"created_at" maxLength:"64" doc:"created_at or ticker; anything else means created_at"`
	SortOrder   string `query:"sort_order" default:"desc" enum:"asc,desc"`
	SearchField string `query:"search_field" default:"ticker" enum:"ticker"`
	SearchTerm  string `query:"search_term" maxLength:"64" doc:"Keeps the runs whose field contains this text, in any case"`
}

type listRunsOutput struct {
	Body struct {
		Success bool        `json:"success"`
		Data    runListData `json:"data"`
	}
}

type runListData struct {
	Runs       []RunSummary `json:"runs" nullable:"false"`
	Pagination pagination   `json:"pagination"`
}

type pagination struct {
	Page      int64   `json:"page"`
	PerPage   int64   `json:"per_page"`
	Total     int64   `json:"total"`
	Pages     int64   `json:"pages"`
	HasNext   bool    `json:"has_next"`
	HasPrev   bool    `json:"has_prev"`
	NextNum   *int64  `json:"next_num"`
	PrevNum   *int64  `json:"prev_num"`
	Next      *string `json:"next_cursor"`
	Prev      *string `json:"prev_cursor"`
	SortBy    string  `json:"sort_by"`
	SortOrder string  `json:"sort_order"`
}

func (s *service) listRuns(ctx context.Context, in *listRunsInput) (*listRunsOutput, error) {
	order := store.RunOrder(in.SortBy)
	if order != store.ByTicker {
		order = store.ByCreation
	}
	name := string(order) + "." + in.SortOrder
	at, refused := readCursor(in.Cursor, name)
	if refused != nil {
		return nil, refused
	}
	q := store.RunQuery{
		Order: order, Ascending: in.SortOrder == "asc", From: at.place(), Limit: in.PerPage,
		Ticker: strings.ToUpper(in.SearchTerm),
	}
	number := in.Page
	if at == nil {
		q.Offset = (in.Page - 1) * in.PerPage
	} else {
		q.Before, number = at.Before, max(1, at.Page)
	}
	page, err := s.Store.Runs(ctx, ownerOf(ctx), q)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &listRunsOutput{}
	out.Body.Success = true
	out.Body.Data.Runs = make([]RunSummary, len(page.Runs))
	for i, r := range page.Runs {
		out.Body.Data.Runs[i] = summary(r)
	}
	p := paginate(number, in.PerPage, page)
	p.SortBy, p.SortOrder = string(order), in.SortOrder
	if n := len(page.Runs); n > 0 {
		p.Next, p.Prev = beside(name, page.Later, page.Runs[n-1].Place(order), number+1), beside(name, page.Earlier, page.Runs[0].Place(order), -(number-1))
	}
	out.Body.Data.Pagination = p
	return out, nil
}

// beside is the cursor of the page after a run or, with a negative number, before it; nil when there is none.
func beside(order string, there bool, p store.Place, number int64) *string {
	if !there {
		return nil
	}
	c := cursorAt(order, p)
	c.Page, c.Before = max(number, -number), number <= 0
	return c.text()
}

// paginate says where a page lies. Pages count from 1; a page past the end is empty, not an error.
func paginate(page, perPage int64, of store.RunPage) pagination {
	p := pagination{Page: page, PerPage: perPage, Total: of.Total, Pages: (of.Total + perPage - 1) / perPage, HasNext: of.Later, HasPrev: page > 1 || of.Earlier}
	if p.HasNext {
		next := page + 1
		p.NextNum = &next
	}
	if page > 1 {
		previous := page - 1
		p.PrevNum = &previous
	}
	return p
}
