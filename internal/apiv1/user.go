package apiv1

import "time"

// Account answers GET /v1/account: who the presented key is.
type Account struct {
	Username    string  `json:"username" doc:"Whose key this is." example:"neo"`
	Role        string  `json:"role" enum:"admin,operator,viewer" doc:"What this key may do; never more than its account may."`
	KeyID       string  `json:"key_id" format:"uuid" doc:"The key that was presented."`
	SatelliteID *string `json:"satellite_id" doc:"The one satellite that the key is limited to; null is every satellite."`
	Scope       *string `json:"scope" doc:"All that the key may do: push to and pull from these repositories; null is whatever its role may." example:"push:neo/*"`
}

// User is an account as administrators see it.
type User struct {
	Username    string  `json:"username" doc:"Unique, ignoring case." example:"neo"`
	Role        string  `json:"role" enum:"admin,operator,viewer" doc:"The most that any key of this account may do."`
	HasPassword bool    `json:"has_password" doc:"Whether the account can sign in to the admin panel with a password."`
	Provider    *string `json:"provider" doc:"The OpenID Connect provider by which the person signs in, whose groups give the role; null: none." example:"okta"`

	SignOnEndedAt *time.Time `json:"sign_on_ended_at" doc:"Since when the provider does not vouch for the person: sessions and keys do not work until the next sign-in. null: it does."`

	Disabled  bool      `json:"disabled" doc:"A disabled account's keys and sessions do not work."`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// UserCreate is the body of POST /v1/users.
type UserCreate struct {
	Username string `json:"username" doc:"1 to 63 letters, digits, '_', '.' or '-', starting with a letter or digit." example:"trinity"`
	Role     string `json:"role" doc:"admin, operator or viewer." example:"operator"`
	Password string `json:"password,omitempty" doc:"12 to 256 characters; left out, the account has keys only."`
	Provider string `json:"provider,omitempty" doc:"In place of a password: the provider, by its name in the server's settings, by which the person signs in. The first sign-in there under this username takes the account."`
}

// UserUpdate is the body of PATCH /v1/users/{username}: what is left out stays.
type UserUpdate struct {
	Role     *string `json:"role,omitempty" doc:"admin, operator or viewer." example:"viewer"`
	Password *string `json:"password,omitempty" doc:"12 to 256 characters."`
	Provider *string `json:"provider,omitempty" doc:"By which provider the person signs in from now on, in place of the password; an empty text is by none. It signs the person out, and the next sign-in there under this username takes the account."`
	Disabled *bool   `json:"disabled,omitempty" doc:"true stops the account's keys and sessions at once."`
}

// Key is an API key's record. The key itself is only in KeyCreated.
type Key struct {
	ID          string     `json:"id" format:"uuid"`
	Username    string     `json:"username" doc:"Whose key it is." example:"neo"`
	Name        string     `json:"name" example:"laptop"`
	Prefix      string     `json:"prefix" doc:"The key's first characters, to recognise it by." example:"cst_4f2a"`
	Role        string     `json:"role" enum:"admin,operator,viewer"`
	SatelliteID *string    `json:"satellite_id" doc:"The one satellite the key is limited to; null is every satellite."`
	Scope       *string    `json:"scope" doc:"All that the key may do: push to and pull from these repositories; null is whatever its role may." example:"push:neo/*"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   time.Time  `json:"expires_at"`
	LastUsedAt  *time.Time `json:"last_used_at" doc:"null: never."`
	RevokedAt   *time.Time `json:"revoked_at" doc:"null: not revoked."`
}

// KeyCreate is the body of POST /v1/users/{username}/keys.
type KeyCreate struct {
	Name        string     `json:"name" doc:"At most 200 characters." example:"laptop"`
	Role        *string    `json:"role,omitempty" doc:"admin, operator or viewer, and no higher than the account's; left out, the account's." example:"operator"`
	SatelliteID *string    `json:"satellite_id,omitempty" doc:"Limits the key to the satellite with this id; left out, it is for every satellite."`
	Scope       *string    `json:"scope,omitempty" doc:"Limits the key to pushing and pulling: push:OWNER/* or push:OWNER/NAME, several with a space between them. It needs the role admin; left out, the key may do what its role may." example:"push:neo/*"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"Left out, one year from now."`
}

// KeyCreated answers POST …/keys: the only time that the key is shown.
type KeyCreated struct {
	Key
	Secret string `json:"key" doc:"The key itself. It is shown here and never again." example:"cst_…"`
}
