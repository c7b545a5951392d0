package api

import (
	"context"
	"errors"
	"net/http"
	"net/mail"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"github.com/valor-ivx/weir/app/auth"
	"github.com/valor-ivx/weir/app/store"
	"github.com/valor-ivx/weir/app/strictjson"
)

// accounts is what registering and logging in is made of.
type accounts struct {
	tokens   *auth.Tokens
	register strictjson.Decoder[registerRequest]
	login    strictjson.Decoder[loginRequest]
	refresh  strictjson.Decoder[refreshRequest]
	// decoy is verified for names that nobody has, so that an answer takes as long for them.
	decoy string
}

func newAccounts(tokens *auth.Tokens) accounts {
	return accounts{tokens: tokens, register: strictjson.New[registerRequest](), login: strictjson.New[loginRequest](), refresh: strictjson.New[refreshRequest](),
		decoy: auth.Hash("nobody's password")}
}

type registerRequest struct {
	Username string `json:"username"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

type loginRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

type accountInput struct {
	Payload payload
}

type userView struct {
	ID        string    `json:"id"`
	Username  string    `json:"username"`
	Email     string    `json:"email"`
	TenantID  string    `json:"tenant_id"`
	CreatedAt time.Time `json:"created_at"`
}

type accountBody struct {
	Success      bool     `json:"success"`
	User         userView `json:"user"`
	AccessToken  string   `json:"access_token"`
	RefreshToken string   `json:"refresh_token" doc:"Good for one exchange"`
	ExpiresIn    int      `json:"expires_in" doc:"Of the access token, seconds"`
}

type accountOutput struct{ Body accountBody }

type profileOutput struct {
	Body struct {
		Success bool     `json:"success"`
		User    userView `json:"user"`
	}
}

type messageOutput struct {
	Body struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
	}
}

func viewOf(u store.User) userView {
	return userView{u.ID, u.Username, u.Email, u.Tenant, u.CreatedAt}
}

// describeAccounts registers /api/auth.
func describeAccounts(a huma.API, s *service) {
	open := func(id, path, summary, description string, errors ...int) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodPost, Path: path, Tags: []string{"accounts"}, Summary: summary, Description: description,
			RejectUnknownQueryParameters: true, Errors: append(errors, 400, 408, 413, 415, 422, 500)}
	}
	huma.Register(a, open("register", "/api/auth/register", "Make an account", "A name of 3 to 64 letters, digits, _ and -, an address, and a password of at least "+
		"12 characters with a lower and an upper case letter, a digit and another character. The account is logged in.", 409), s.signUp)
	huma.Register(a, open("login", "/api/auth/login", "Log in", "username may be the address.", 401), s.logIn)
	huma.Register(a, open("refresh", "/api/auth/refresh", "Exchange a refresh token", "The old one is good no more; whoever uses it once more ends the session.", 401), s.refreshTokens)
	huma.Register(a, open("logout", "/api/auth/logout", "End a session", "By its refresh token. Access tokens that were given for it end by themselves."), s.logOut)
	huma.Register(a, huma.Operation{OperationID: "profile", Method: http.MethodGet, Path: "/api/auth/profile", Tags: []string{"accounts"}, Summary: "Who asks",
		RejectUnknownQueryParameters: true, Errors: []int{401, 500}, Middlewares: huma.Middlewares{s.needsAccount}, Security: bearer()}, s.profile)
	spec := a.OpenAPI()
	spec.Paths["/api/auth/register"].Post.RequestBody = jsonBody(true, accountSchema("username", "email", "password"))
	spec.Paths["/api/auth/login"].Post.RequestBody = jsonBody(true, accountSchema("username", "password"))
	spec.Paths["/api/auth/refresh"].Post.RequestBody = jsonBody(true, accountSchema("refresh_token"))
	spec.Paths["/api/auth/logout"].Post.RequestBody = jsonBody(true, accountSchema("refresh_token"))
	spec.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"}}
}

func bearer() []map[string][]string { return []map[string][]string{{"bearer": {}}} }

func accountSchema(fields ...string) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: fields, Properties: map[string]*huma.Schema{}}
	for _, f := range fields {
		s.Properties[f] = &huma.Schema{Type: huma.TypeString}
	}
	return s
}

func (s *service) signUp(ctx context.Context, in *accountInput) (*accountOutput, error) {
	var r registerRequest
	if issues := s.accounts.register.Decode(in.Payload.bytes, &r); len(issues) > 0 {
		return nil, invalid(issues)
	}
	if refused := checkAccount(r); refused != nil {
		return nil, refused
	}
	hash, err := s.costly(ctx, func() string { return auth.Hash(r.Password) })
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	// A tenant of one: whoever registers sees nobody else's records.
	u := store.User{ID: id.String(), Tenant: id.String(), Username: r.Username, Email: r.Email, Password: hash, CreatedAt: s.Now()}
	session, token, err := s.newSession(u)
	if err == nil {
		err = s.Store.CreateUser(ctx, u, session)
	}
	switch {
	case errors.Is(err, store.ErrTaken):
		return nil, problem(http.StatusConflict, "somebody has this username or this email")
	case err != nil:
		return nil, s.internal(ctx, err)
	}
	return s.welcome(ctx, u, token)
}

// checkAccount names every field that cannot be accepted.
func checkAccount(r registerRequest) error {
	p := field("", "")
	p.Errors = nil
	say := func(name, message string) {
		p.Add(&huma.ErrorDetail{Location: location(name), Message: message})
	}
	if !isUsername(r.Username) {
		say("username", "must be 3 to 64 of A-Z, a-z, 0-9, _ and -")
	}
	if !isEmail(r.Email) {
		say("email", "must be one address, like ann@example.com")
	}
	if words := auth.CheckPassword(r.Password); words != "" {
		say("password", words)
	}
	if len(p.Errors) == 0 {
		return nil
	}
	return p
}

func isUsername(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return len(name) >= 3 && len(name) <= 64
}

func isEmail(text string) bool {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || len(text) > 254 {
		return false
	}
	_, host, _ := strings.Cut(text, "@")
	return strings.Contains(host, ".") && !strings.ContainsAny(text, " \"\t\r\n")
}

func (s *service) logIn(ctx context.Context, in *accountInput) (*accountOutput, error) {
	var r loginRequest
	if issues := s.accounts.login.Decode(in.Payload.bytes, &r); len(issues) > 0 {
		return nil, invalid(issues)
	}
	u, err := s.Store.UserByName(ctx, r.Username)
	known := err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, s.internal(ctx, err)
	}
	if !known {
		u.Password = s.accounts.decoy
	}
	type verdict struct {
		ok  bool
		err error
	}
	v, err := costly(ctx, s.heavy, func() verdict {
		ok, err := auth.Verify(u.Password, r.Password)
		return verdict{ok, err}
	})
	if err = errors.Join(err, v.err); err != nil {
		return nil, s.internal(ctx, err)
	}
	if !known || !v.ok || len(r.Password) > auth.MaxPassword {
		s.Metrics.Logins.Refused.Inc()
		return nil, problem(http.StatusUnauthorized, "Invalid username or password")
	}
	session, token, err := s.newSession(u)
	if err == nil {
		err = s.Store.CreateSession(ctx, u.Owner(), session)
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	s.Metrics.Logins.OK.Inc()
	return s.welcome(ctx, u, token)
}

// costly does what takes some 20 ms of a processor, one at a time for each of them.
func (s *service) costly(ctx context.Context, do func() string) (string, error) {
	return costly(ctx, s.heavy, do)
}

func costly[T any](ctx context.Context, h heavy, do func() T) (out T, err error) {
	workers, err := h.take(ctx, 1)
	if err != nil {
		return out, err
	}
	defer h.give(workers)
	return do(), nil
}

func (s *service) newSession(u store.User) (store.Session, string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return store.Session{}, "", err
	}
	token, hash := auth.NewRefresh()
	now := s.Now()
	return store.Session{ID: id.String(), User: u.ID, Hash: hash, CreatedAt: now, ExpiresAt: now.Add(auth.RefreshFor)}, token, nil
}

func (s *service) welcome(ctx context.Context, u store.User, refresh string) (*accountOutput, error) {
	access, err := s.accounts.tokens.Access(auth.Identity{User: u.ID, Tenant: u.Tenant}, s.Now())
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	return &accountOutput{accountBody{true, viewOf(u), access, refresh, int(auth.AccessFor / time.Second)}}, nil
}

func (s *service) refreshTokens(ctx context.Context, in *accountInput) (*accountOutput, error) {
	var r refreshRequest
	if issues := s.accounts.refresh.Decode(in.Payload.bytes, &r); len(issues) > 0 {
		return nil, invalid(issues)
	}
	token, hash := auth.NewRefresh()
	now := s.Now()
	u, err := s.Store.Refresh(ctx, auth.RefreshHash(r.RefreshToken), hash, now, now.Add(auth.RefreshFor))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, problem(http.StatusUnauthorized, "the refresh token is not good, or not any more: log in again")
	case err != nil:
		return nil, s.internal(ctx, err)
	}
	return s.welcome(ctx, u, token)
}

func (s *service) logOut(ctx context.Context, in *accountInput) (*messageOutput, error) {
	var r refreshRequest
	if issues := s.accounts.refresh.Decode(in.Payload.bytes, &r); len(issues) > 0 {
		return nil, invalid(issues)
	}
	if err := s.Store.EndSession(ctx, auth.RefreshHash(r.RefreshToken), s.Now()); err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &messageOutput{}
	out.Body.Success, out.Body.Message = true, "Logged out"
	return out, nil
}

func (s *service) profile(ctx context.Context, _ *struct{}) (*profileOutput, error) {
	u, err := s.Store.User(ctx, ownerOf(ctx).User)
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem(http.StatusUnauthorized, "the account is gone")
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &profileOutput{}
	out.Body.Success, out.Body.User = true, viewOf(u)
	return out, nil
}

// ownerKey is the context's key of whose records a request is about.
type ownerKey struct{}

// ownerOf is whose records the request is about; needsUser or needsAccount have put it there.
func ownerOf(ctx context.Context) store.Owner {
	o, _ := ctx.Value(ownerKey{}).(store.Owner)
	return o
}

// demoOwner owns what is done in a demo without an account. needsUser keeps it out of production.
func demoOwner() store.Owner { return store.Owner{Tenant: "demo", User: "demo"} }

// needsUser lets in who shows a token; in a demo also who shows none, as the demo's user.
func (s *service) needsUser(ctx huma.Context, next func(huma.Context)) {
	if s.Demo && ctx.Header("Authorization") == "" {
		s.enter(ctx, demoOwner(), next)
		return
	}
	s.needsAccount(ctx, next)
}

// needsAccount lets in who shows a token.
func (s *service) needsAccount(ctx huma.Context, next func(huma.Context)) {
	token, ok := strings.CutPrefix(ctx.Header("Authorization"), "Bearer ")
	if !ok {
		unauthorized(ctx, `Bearer realm="valor"`, "Authorization: Bearer with an access token is required")
		return
	}
	who, err := s.accounts.tokens.Parse(strings.TrimSpace(token), s.Now())
	if err != nil {
		unauthorized(ctx, `Bearer realm="valor", error="invalid_token"`, err.Error())
		return
	}
	s.enter(ctx, store.Owner{Tenant: who.Tenant, User: who.User}, next)
}

// enter holds X-Tenant-ID, where it is sent, to the user's own tenant: another's records are not there.
func (s *service) enter(ctx huma.Context, o store.Owner, next func(huma.Context)) {
	if t := ctx.Header("X-Tenant-ID"); t != "" && t != o.Tenant {
		_, w := humago.Unwrap(ctx)
		writeProblem(w, http.StatusNotFound, "there is no such tenant")
		return
	}
	next(huma.WithValue(ctx, ownerKey{}, o))
}

func unauthorized(ctx huma.Context, challenge, detail string) {
	_, w := humago.Unwrap(ctx)
	w.Header().Set("WWW-Authenticate", challenge)
	writeProblem(w, http.StatusUnauthorized, detail)
}
