// Package libsecret stands in for the D-Bus secret service client.
package libsecret

import "errors"

var errUnsupported = errors.New("libsecret secrets are not supported by this build")

type path string
type Service struct{}
type Session struct{}
type Collection struct{}
type Item struct{}
type Secret struct{ Value []byte }

func NewService() (*Service, error)                  { return nil, errUnsupported }
func (*Service) Open() (*Session, error)             { return nil, errUnsupported }
func (*Service) Collections() ([]Collection, error)  { return nil, errUnsupported }
func (*Service) Unlock(any) error                    { return errUnsupported }
func (*Collection) Path() path                       { return "" }
func (*Collection) Items() ([]Item, error)           { return nil, errUnsupported }
func (*Collection) SearchItems(any) ([]Item, error)  { return nil, errUnsupported }
func (*Item) Locked() (bool, error)                  { return false, errUnsupported }
func (*Item) Path() path                             { return "" }
func (*Item) Label() (string, error)                 { return "", errUnsupported }
func (*Item) Attributes() (map[string]string, error) { return nil, errUnsupported }
func (*Item) GetSecret(*Session) (*Secret, error)    { return nil, errUnsupported }
