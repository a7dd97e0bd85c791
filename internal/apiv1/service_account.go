package apiv1

import "time"

// ServiceAccount is an account of a program: it never signs in, and has API keys.
type ServiceAccount struct {
	Username  string    `json:"username" doc:"Unique among people and service accounts, ignoring case." example:"ci"`
	Role      string    `json:"role" enum:"admin,operator,viewer" doc:"The most that any key of this account may do."`
	Disabled  bool      `json:"disabled" doc:"A disabled account's keys do not work."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// ServiceAccountCreate is the body of POST /v1/service-accounts.
type ServiceAccountCreate struct {
	Username string `json:"username" doc:"1 to 63 letters, digits, '_', '.' or '-', starting with a letter or digit." example:"release-bot"`
	Role     string `json:"role" doc:"admin, operator or viewer." example:"operator"`
}

// ServiceAccountUpdate is the body of PATCH /v1/service-accounts/{account}: what is
// left out stays.
type ServiceAccountUpdate struct {
	Role     *string `json:"role,omitempty" doc:"admin, operator or viewer." example:"viewer"`
	Disabled *bool   `json:"disabled,omitempty" doc:"true stops the account's keys at once."`
}
