package api

import (
	"context"
	"strings"

	"github.com/valor-ivx/weir/app/store"
)

type listRunsInput struct {
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
	Page      int64  `json:"page"`
	PerPage   int64  `json:"per_page"`
	Total     int64  `json:"total"`
	Pages     int64  `json:"pages"`
	HasNext   bool   `json:"has_next"`
	HasPrev   bool   `json:"has_prev"`
	NextNum   *int64 `json:"next_num"`
	PrevNum   *int64 `json:"prev_num"`
	SortBy    string `json:"sort_by"`
	SortOrder string `json:"sort_order"`
}

func (s *service) listRuns(ctx context.Context, in *listRunsInput) (*listRunsOutput, error) {
	order := store.RunOrder(in.SortBy)
	if order != store.ByTicker {
		order = store.ByCreation
	}
	page, err := s.Store.Runs(ctx, ownerOf(ctx), store.RunQuery{
		Order: order, Ascending: in.SortOrder == "asc",
		Offset: (in.Page - 1) * in.PerPage, Limit: in.PerPage,
		Ticker: strings.ToUpper(in.SearchTerm),
	})
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &listRunsOutput{}
	out.Body.Success = true
	out.Body.Data.Runs = make([]RunSummary, len(page.Runs))
	for i, r := range page.Runs {
		out.Body.Data.Runs[i] = summary(r)
	}
	out.Body.Data.Pagination = paginate(in.Page, in.PerPage, page.Total)
	out.Body.Data.Pagination.SortBy, out.Body.Data.Pagination.SortOrder = string(order), in.SortOrder
	return out, nil
}

// paginate says where a page lies. Pages count from 1; a page past the end is empty, not an error.
func paginate(page, perPage, total int64) pagination {
	p := pagination{Page: page, PerPage: perPage, Total: total, Pages: (total + perPage - 1) / perPage}
	if page < p.Pages {
		next := page + 1
		p.HasNext, p.NextNum = true, &next
	}
	if page > 1 {
		previous := page - 1
		p.HasPrev, p.PrevNum = true, &previous
	}
	return p
}
