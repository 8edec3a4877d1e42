package invitation_test

import (
	"fmt"
	"time"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/invitation"
)

// An invitation is made at the initiator (trust.Service.Invite does it) and read where the string was carried to.
func ExampleNew() {
	made, err := invitation.New(invitation.Invitation{
		Name:        "micro02",
		Addresses:   []string{"10.0.0.1:9443"},
		Fingerprint: certstore.Fingerprint{0x54, 0xb5},
		Cluster:     certstore.ClusterID{1},
		Expires:     time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := invitation.Parse(made.Reveal() + "\n")
	fmt.Println(read.Name, read.Addresses, read.Expires.Format(time.DateOnly), read.ID == made.ID, err)
	// Output: micro02 [10.0.0.1:9443] 2030-01-02 true <nil>
}

// What cannot be used is refused with the field and the rule.
func ExampleParse() {
	_, err := invitation.Parse("microtrust-invite-2-AAAA")
	fmt.Println(err)
	// Output: invitation: not a valid invitation: version: must be 1: the invitation was made by another release
}
